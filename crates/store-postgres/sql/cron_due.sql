-- cron_due: at most $1 schedules that have fired, for the caller alone; others are left to others.
SELECT
    c.name, c.expression, c.zone, q.name, c.kind, c.payload, c.priority, c.weight, c.key, c.class, c.max_attempts,
    c.timeout_ms, c.next_at, c.last_at, c.last_job
FROM queue.cron c JOIN queue.queue q ON q.id = c.queue
WHERE c.next_at <= queue.queue_now()
ORDER BY c.next_at LIMIT $1
FOR UPDATE OF c SKIP LOCKED
