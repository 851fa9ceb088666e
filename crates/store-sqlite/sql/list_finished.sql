-- list_finished: at most ?8 finished jobs with an id below ?1, newest first: filtered as in list_live.
SELECT
    j.id, q.name, j.kind, b.payload, j.priority, j.weight, j.key, j.class, j.unique_key, j.unique_ms, j.attempt,
    j.max_attempts, j.crashes, j.timeout_ms, b.trace_parent, j.created_at,
    j.supersede_key, j.version_at, j.version_id,
    j.state, NULL, NULL, NULL, j.leased_at, NULL, j.reason, j.finished_at
FROM history j
CROSS JOIN queue q ON q.id = j.queue
CROSS JOIN job_body b ON b.id = j.id
WHERE j.id < ?1 AND (?2 IS NULL OR q.name = ?2) AND (?3 IS NULL OR j.state = ?3) AND (?4 IS NULL OR j.kind = ?4)
  AND (?5 IS NULL OR j.key = ?5) AND (?6 IS NULL OR j.created_at >= ?6) AND (?7 IS NULL OR j.created_at < ?7)
ORDER BY j.id DESC LIMIT ?8
