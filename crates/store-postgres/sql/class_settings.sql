-- class_settings: what is set for the limit classes of queue $1.
SELECT class, job_limit, throttle_starts, throttle_ms, throttle_refuses FROM queue.limit_class WHERE queue = $1 ORDER BY class
