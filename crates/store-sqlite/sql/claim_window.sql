-- claim_window: the first ?2 ready jobs of queue ?1, each with the limit of its key and how many of the key are leased, and,
-- if its class is throttled, with the class and how many starts the throttle has left at ?3.
SELECT
    j.id, j.key, j.priority, j.pass, j.limit_now,
    CASE WHEN j.limit_now IS NULL THEN 0 ELSE (
        SELECT count(*) FROM job l INDEXED BY job_lane WHERE l.state = 1 AND l.queue = ?1 AND l.key = j.key
    ) END,
    j.throttled,
    CASE WHEN j.throttled IS NOT NULL THEN j.throttle_starts - (
        SELECT coalesce(sum(s.n), 0) FROM throttle_start s
        WHERE s.queue = ?1 AND s.class = j.throttled AND s.key = j.key AND s.at > ?3 - j.throttle_ms
    ) END
FROM (
    SELECT j.id, j.key, j.priority, j.pass, j.arrival,
           CASE WHEN o.paused THEN 0 ELSE coalesce(o.job_limit, c.job_limit) END AS limit_now,
           CASE WHEN c.throttle_starts IS NOT NULL THEN c.class END AS throttled, c.throttle_starts, c.throttle_ms
    FROM job j INDEXED BY job_ready
    LEFT JOIN limit_class c ON c.queue = j.queue AND c.class = j.class
    LEFT JOIN key_override o ON o.queue = j.queue AND o.key = j.key
    WHERE j.state = 2 AND j.queue = ?1
    ORDER BY j.priority DESC, j.pass, j.arrival
    LIMIT ?2
) j
ORDER BY j.priority DESC, j.pass, j.arrival
