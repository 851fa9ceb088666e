-- dead_page: at most ?4 dead letters of queue ?1, of kind ?2 or of any, oldest first; those whose unique key is taken at
-- ?3 are left out.
SELECT h.id, h.unique_key FROM history h INDEXED BY history_dead
WHERE h.state = 5 AND h.queue = ?1 AND (?2 IS NULL OR h.kind = ?2)
  AND NOT EXISTS (
      SELECT 1 FROM unique_key u
      WHERE u.queue = h.queue AND u.key = h.unique_key AND (u.until IS NULL OR u.until > ?3)
  )
ORDER BY h.id LIMIT ?4
