-- prunable_dead: at most ?6 dead letters of queue ?1 that died before ?2, oldest first: of kind ?3 and key ?4, died from ?5
-- on, or any.
SELECT id FROM history INDEXED BY history_dead
WHERE state = 5 AND queue = ?1 AND finished_at < ?2 AND (?3 IS NULL OR kind = ?3) AND (?4 IS NULL OR key = ?4)
  AND (?5 IS NULL OR finished_at >= ?5)
ORDER BY id LIMIT ?6
