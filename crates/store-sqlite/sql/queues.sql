-- queues: every queue with what decides whether it may start jobs. There are few, all from the configuration.
SELECT id, name, job_limit, paused, resumed_at, starts FROM queue ORDER BY id
