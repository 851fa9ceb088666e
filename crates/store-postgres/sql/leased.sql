-- leased: the jobs $1 as far as they are leased under the token $2, best first, with their checkpoints in the order of writing
-- and how long they had been ready.
SELECT
    j.id, q.name, j.kind, j.payload, j.priority, j.weight, j.key, j.class, j.unique_key, j.unique_ms, j.attempt,
    j.max_attempts, j.crashes, j.timeout_ms, j.trace_parent, j.created_at, j.supersede_key, j.version_at, j.version_id,
    CASE WHEN j.has_steps THEN (SELECT array_agg(c.step ORDER BY c.seq) FROM queue.checkpoint c WHERE c.job = j.id) END,
    CASE WHEN j.has_steps THEN (SELECT array_agg(c.value ORDER BY c.seq) FROM queue.checkpoint c WHERE c.job = j.id) END,
    j.leased_at - j.ready_at
FROM queue.job j
JOIN queue.queue q ON q.id = j.queue
WHERE j.id = ANY ($1) AND j.token = $2
ORDER BY j.priority DESC, j.pass, j.arrival
