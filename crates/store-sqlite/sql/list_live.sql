-- list_live: at most ?8 live jobs with an id below ?1, newest first: of queue ?2, state ?3, kind ?4 and key ?5, created
-- from ?6 on and before ?7, or any.
SELECT
    j.id, q.name, j.kind, b.payload, j.priority, j.weight, j.key, j.class, j.unique_key, j.unique_ms, j.attempt,
    j.max_attempts, j.crashes, j.timeout_ms, b.trace_parent, j.created_at,
    j.supersede_key, j.version_at, j.version_id,
    j.state, j.run_at, j.ready_at, j.worker, j.leased_at, j.expires_at, j.cancel, NULL AS finished_at
FROM job j
CROSS JOIN queue q ON q.id = j.queue
CROSS JOIN job_body b ON b.id = j.id
WHERE j.id < ?1 AND (?2 IS NULL OR q.name = ?2) AND (?3 IS NULL OR j.state = ?3) AND (?4 IS NULL OR j.kind = ?4)
  AND (?5 IS NULL OR j.key = ?5) AND (?6 IS NULL OR j.created_at >= ?6) AND (?7 IS NULL OR j.created_at < ?7)
ORDER BY j.id DESC LIMIT ?8
