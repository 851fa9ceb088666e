-- cron_due: at most ?3 schedules of queue ?1 that have fired at ?2.
SELECT
    c.name, c.expression, c.zone, q.name, c.kind, c.payload, c.priority, c.weight, c.key, c.class, c.max_attempts,
    c.timeout_ms, c.next_at, c.last_at, c.last_job
FROM queue q
CROSS JOIN cron c INDEXED BY cron_next ON c.queue = q.id AND c.next_at IS NOT NULL AND c.next_at <= ?2
WHERE q.id = ?1
ORDER BY c.next_at LIMIT ?3
