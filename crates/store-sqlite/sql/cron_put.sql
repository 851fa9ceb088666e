-- cron_put: stores the schedule ?1, next firing at ?13 unless expression and time zone are what they were.
INSERT INTO cron (
    name, expression, zone, queue, kind, payload, priority, weight, key, class, max_attempts, timeout_ms, next_at
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
ON CONFLICT (name) DO UPDATE SET
    expression = excluded.expression, zone = excluded.zone, queue = excluded.queue, kind = excluded.kind,
    payload = excluded.payload, priority = excluded.priority, weight = excluded.weight, key = excluded.key,
    class = excluded.class, max_attempts = excluded.max_attempts, timeout_ms = excluded.timeout_ms,
    next_at = CASE WHEN expression = excluded.expression AND zone = excluded.zone THEN next_at ELSE excluded.next_at END
