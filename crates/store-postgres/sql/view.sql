-- view: the job $1 with all that is known of it, live or finished.
SELECT
    v.*,
    (SELECT array_agg(e.attempt ORDER BY e.seq) FROM queue.job_error e WHERE e.job = v.id),
    (SELECT array_agg(e.kind ORDER BY e.seq) FROM queue.job_error e WHERE e.job = v.id),
    (SELECT array_agg(e.message ORDER BY e.seq) FROM queue.job_error e WHERE e.job = v.id),
    (SELECT array_agg(e.at ORDER BY e.seq) FROM queue.job_error e WHERE e.job = v.id),
    (SELECT array_agg(c.step ORDER BY c.seq) FROM queue.checkpoint c WHERE c.job = v.id)
FROM (
    SELECT
        j.id, q.name, j.kind, j.payload, j.priority, j.weight, j.key, j.class, j.unique_key, j.unique_ms, j.attempt,
    j.max_attempts, j.crashes, j.timeout_ms, j.trace_parent, j.created_at, j.supersede_key, j.version_at, j.version_id,
        j.state, j.run_at, j.ready_at, j.worker, j.leased_at, j.expires_at, j.cancel, NULL::bigint AS finished_at
    FROM queue.job j JOIN queue.queue q ON q.id = j.queue
    WHERE j.id = $1
    UNION ALL
    SELECT
        j.id, q.name, j.kind, j.payload, j.priority, j.weight, j.key, j.class, j.unique_key, j.unique_ms, j.attempt,
    j.max_attempts, j.crashes, j.timeout_ms, j.trace_parent, j.created_at, j.supersede_key, j.version_at, j.version_id,
        j.state, NULL, NULL, NULL, j.leased_at, NULL, j.reason, j.finished_at
    FROM queue.history j JOIN queue.queue q ON q.id = j.queue
    WHERE j.id = $1
) v
