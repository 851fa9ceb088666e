-- view: the job ?1 with all that is known of it, live or finished.
SELECT
    j.id, q.name, j.kind, b.payload, j.priority, j.weight, j.key, j.class, j.unique_key, j.unique_ms, j.attempt,
    j.max_attempts, j.crashes, j.timeout_ms, b.trace_parent, j.created_at,
    j.supersede_key, j.version_at, j.version_id,
    j.state, j.run_at, j.ready_at, j.worker, j.leased_at, j.expires_at, j.cancel, NULL AS finished_at
FROM job j
CROSS JOIN queue q ON q.id = j.queue
CROSS JOIN job_body b ON b.id = j.id
WHERE j.id = ?1
UNION ALL
SELECT
    j.id, q.name, j.kind, b.payload, j.priority, j.weight, j.key, j.class, j.unique_key, j.unique_ms, j.attempt,
    j.max_attempts, j.crashes, j.timeout_ms, b.trace_parent, j.created_at,
    j.supersede_key, j.version_at, j.version_id,
    j.state, NULL, NULL, NULL, j.leased_at, NULL, j.reason, j.finished_at
FROM history j
CROSS JOIN queue q ON q.id = j.queue
CROSS JOIN job_body b ON b.id = j.id
WHERE j.id = ?1
