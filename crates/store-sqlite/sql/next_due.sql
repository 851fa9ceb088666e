-- next_due: when the next scheduled job of the queues ?1 (JSON array) is due, the throttle of one of their keys is to be
-- looked at or a schedule of theirs fires; NULL when nothing waits for a time.
SELECT min(at) FROM (
    SELECT (
        SELECT j.run_at FROM job j INDEXED BY job_due WHERE j.state = 0 AND j.queue = e.value ORDER BY j.run_at LIMIT 1
    ) AS at
    FROM jsonb_each(?1) e
    UNION ALL
    SELECT (
        SELECT t.until FROM throttled t INDEXED BY throttled_until WHERE t.queue = e.value ORDER BY t.until LIMIT 1
    )
    FROM jsonb_each(?1) e
    UNION ALL
    SELECT (
        SELECT c.next_at FROM cron c INDEXED BY cron_next
        WHERE c.queue = e.value AND c.next_at IS NOT NULL ORDER BY c.next_at LIMIT 1
    )
    FROM jsonb_each(?1) e
)
