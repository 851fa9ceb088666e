-- keys_after: the first ?3 keys of queue ?1 that have live jobs, after the key ?2, hopping from key to key along the index.
WITH RECURSIVE hop(key, n) AS (
    SELECT min(j.key), 1 FROM job j INDEXED BY job_lane WHERE j.queue = ?1 AND j.key > ?2
    UNION ALL
    SELECT (SELECT min(j.key) FROM job j INDEXED BY job_lane WHERE j.queue = ?1 AND j.key > h.key), h.n + 1
    FROM hop h WHERE h.key IS NOT NULL AND h.n < ?3
)
SELECT key FROM hop WHERE key IS NOT NULL
