-- was_full: whether one of the queues ?1 (JSON array of [queue, leases that have ended]) or its group, ?2 of all whose leases
-- have ended, was at its limit before.
SELECT EXISTS (
    SELECT 1
    FROM jsonb_each(?1) e
    CROSS JOIN queue q ON q.id = e.value ->> 0
    LEFT JOIN queue_group g ON g.id = q.group_id
    WHERE (q.job_limit IS NOT NULL AND q.job_limit <= (e.value ->> 1) + (
        SELECT count(*) FROM job j INDEXED BY job_token WHERE j.state = 1 AND j.queue = q.id
    )) OR (g.job_limit IS NOT NULL AND g.job_limit <= ?2 + (
        SELECT count(*) FROM queue m CROSS JOIN job j INDEXED BY job_token ON j.state = 1 AND j.queue = m.id
        WHERE m.group_id = g.id
    ))
)
