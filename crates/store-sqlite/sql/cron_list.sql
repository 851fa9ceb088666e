-- cron_list: all schedules, by name. There are few.
SELECT
    c.name, c.expression, c.zone, q.name, c.kind, c.payload, c.priority, c.weight, c.key, c.class, c.max_attempts,
    c.timeout_ms, c.next_at, c.last_at, c.last_job
FROM cron c
CROSS JOIN queue q ON q.id = c.queue
ORDER BY c.name
