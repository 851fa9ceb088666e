-- stats: the depth of every queue, and how long its oldest ready job is ready.
SELECT
    q.name, d.scheduled, d.ready, d.parked, d.leased, d.dead, q.job_limit, q.paused,
    queue.queue_now() - (
        SELECT j.ready_at FROM queue.job j WHERE j.state = 2 AND j.queue = q.id ORDER BY j.ready_at LIMIT 1
    )
FROM queue.queue q
CROSS JOIN LATERAL (
    SELECT coalesce(sum(s.scheduled), 0)::bigint AS scheduled, coalesce(sum(s.ready), 0)::bigint AS ready,
           coalesce(sum(s.parked), 0)::bigint AS parked, coalesce(sum(s.leased), 0)::bigint AS leased,
           coalesce(sum(s.dead), 0)::bigint AS dead
    FROM queue.depth s WHERE s.queue = q.id
) d
ORDER BY q.name
