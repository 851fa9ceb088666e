-- prunable: at most ?7 finished jobs that ended before ?1, those that ended first going first, dead ones excepted: of queue
-- ?2, state ?3, kind ?4 and key ?5, ended from ?6 on, or any.
SELECT id FROM history INDEXED BY history_finished
WHERE state <> 5 AND finished_at < ?1 AND (?2 IS NULL OR queue = ?2) AND (?3 IS NULL OR state = ?3)
  AND (?4 IS NULL OR kind = ?4) AND (?5 IS NULL OR key = ?5) AND (?6 IS NULL OR finished_at >= ?6)
ORDER BY finished_at LIMIT ?7
