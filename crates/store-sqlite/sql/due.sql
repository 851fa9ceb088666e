-- due: the first ?3 scheduled jobs of queue ?1 that are due at ?2.
SELECT id, queue, key, class, priority, weight, arrival, supersede_key
FROM job INDEXED BY job_due
WHERE state = 0 AND queue = ?1 AND run_at <= ?2
ORDER BY run_at, id LIMIT ?3
