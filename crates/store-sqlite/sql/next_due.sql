-- next_due: when the next scheduled job of the queues ?1 (JSON array) is due; NULL when none waits.
SELECT min((
    SELECT j.run_at FROM job j INDEXED BY job_due WHERE j.state = 0 AND j.queue = e.value ORDER BY j.run_at LIMIT 1
))
FROM jsonb_each(?1) e
