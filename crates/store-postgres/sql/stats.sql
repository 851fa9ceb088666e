-- stats: the depth of every queue, and how long its oldest ready job is ready.
SELECT
    q.name, d.scheduled, d.ready, d.parked, d.leased, d.dead, q.job_limit, q.paused,
    queue.queue_now() - (
        SELECT j.ready_at FROM queue.job j WHERE j.state = 2 AND j.queue = q.id ORDER BY j.ready_at LIMIT 1
    )
FROM queue.queue q
JOIN queue.depth d ON d.queue = q.id
ORDER BY q.name
