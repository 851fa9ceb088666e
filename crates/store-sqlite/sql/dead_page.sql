-- dead_page: at most ?8 dead letters of queue ?1, of kind ?2, key ?3 and reason ?4, that died from ?5 on and before ?6, or
-- any, oldest first; those whose unique key is taken at ?7 or that are superseded are left out. Answers as job_of.
SELECT
    h.id, h.state, h.queue, h.key, h.unique_key, h.attempt, h.crashes, h.supersede_key, h.version_at, h.version_id
FROM history h INDEXED BY history_dead
WHERE h.state = 5 AND h.queue = ?1 AND (?2 IS NULL OR h.kind = ?2) AND (?3 IS NULL OR h.key = ?3)
  AND (?4 IS NULL OR h.reason = ?4) AND (?5 IS NULL OR h.finished_at >= ?5) AND (?6 IS NULL OR h.finished_at < ?6)
  AND NOT EXISTS (
      SELECT 1 FROM unique_key u
      WHERE u.queue = h.queue AND u.key = h.unique_key AND (u.until IS NULL OR u.until > ?7)
        AND (u.supersede_key IS NULL OR u.supersede_key IS NOT h.supersede_key)
  )
  AND NOT EXISTS (
      SELECT 1 FROM version v WHERE v.queue = h.queue AND v.key = h.supersede_key AND v.job <> h.id
  )
ORDER BY h.id LIMIT ?8
