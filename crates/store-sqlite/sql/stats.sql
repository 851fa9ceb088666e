-- stats: the depth of every queue, and since when its oldest ready job is ready.
SELECT
    q.name, d.scheduled, d.ready, d.parked, d.leased, d.dead, q.job_limit, q.paused,
    (SELECT j.ready_at FROM job j INDEXED BY job_ready_age
     WHERE j.state = 2 AND j.queue = q.id ORDER BY j.ready_at LIMIT 1)
FROM queue q
CROSS JOIN depth d ON d.queue = q.id
ORDER BY q.name
