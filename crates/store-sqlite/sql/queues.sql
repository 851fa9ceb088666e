-- queues: every queue with what decides whether it may start jobs. There are few, all from the configuration.
SELECT q.id, q.name, q.job_limit, q.paused, q.resumed_at, q.starts, q.group_id, g.job_limit
FROM queue q
LEFT JOIN queue_group g ON g.id = q.group_id
ORDER BY q.id
