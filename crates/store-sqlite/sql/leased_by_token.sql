-- leased_by_token: the jobs under the lease token ?1, best first, whether they have checkpoints, and how long they had been ready.
SELECT
    j.id, q.name, j.kind, b.payload, j.priority, j.weight, j.key, j.class, j.unique_key, j.unique_ms, j.attempt,
    j.max_attempts, j.crashes, j.timeout_ms, b.trace_parent, j.created_at,
    j.supersede_key, j.version_at, j.version_id,
    EXISTS (SELECT 1 FROM checkpoint c WHERE c.job = j.id),
    j.leased_at - j.ready_at
FROM queue q
CROSS JOIN job j INDEXED BY job_token ON j.state = 1 AND j.queue = q.id AND j.token = ?1
CROSS JOIN job_body b ON b.id = j.id
ORDER BY j.priority DESC, j.pass, j.arrival
