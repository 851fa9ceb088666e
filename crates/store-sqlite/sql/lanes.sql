-- lanes: what decides whether a job may become ready; ?1 is a JSON array of [queue, key, class, priority, arrival]. Answers
-- the limit of its key, how many of the key are leased, how many are ready and start before it, the pass to follow,
-- if a later job of its lane is ready already, that one's pass and, if its class is throttled, how many starts the
-- throttle has left at ?2 and whether a parked job of the key starts before it, but for those that wait for the older
-- version of their supersede key.
WITH asked(at, queue, key, class, priority, arrival) AS MATERIALIZED (
    SELECT e.key, e.value ->> 0, e.value ->> 1, e.value ->> 2, e.value ->> 3, e.value ->> 4 FROM jsonb_each(?1) e
), limited AS MATERIALIZED (
    SELECT a.*, CASE WHEN o.paused THEN 0 ELSE coalesce(o.job_limit, c.job_limit) END AS job_limit,
           c.throttle_starts, c.throttle_ms
    FROM asked a
    LEFT JOIN limit_class c ON c.queue = a.queue AND c.class = a.class
    LEFT JOIN key_override o ON o.queue = a.queue AND o.key = a.key
)
SELECT
    l.at,
    l.job_limit,
    CASE WHEN l.job_limit IS NULL THEN 0 ELSE (
        SELECT count(*) FROM job j INDEXED BY job_lane WHERE j.state = 1 AND j.queue = l.queue AND j.key = l.key
    ) END,
    CASE WHEN l.job_limit IS NULL AND l.throttle_starts IS NULL THEN 0 ELSE (
        SELECT count(*) FROM job j INDEXED BY job_lane
        WHERE j.state = 2 AND j.queue = l.queue AND j.key = l.key AND j.priority > l.priority
    ) + (
        SELECT count(*) FROM job j INDEXED BY job_lane
        WHERE j.state = 2 AND j.queue = l.queue AND j.key = l.key AND j.priority = l.priority AND j.arrival < l.arrival
    ) END,
    max(
        coalesce((
            SELECT j.pass FROM job j INDEXED BY job_lane
            WHERE j.state = 2 AND j.queue = l.queue AND j.key = l.key AND j.priority = l.priority
            ORDER BY j.arrival DESC LIMIT 1
        ), 0),
        coalesce((SELECT t.v FROM turn t WHERE t.queue = l.queue AND t.priority = l.priority), 0)
    ),
    (
        SELECT j.pass FROM job j INDEXED BY job_lane
        WHERE j.state = 2 AND j.queue = l.queue AND j.key = l.key AND j.priority = l.priority AND j.arrival > l.arrival
        ORDER BY j.arrival LIMIT 1
    ),
    CASE WHEN l.throttle_starts IS NOT NULL THEN l.throttle_starts - (
        SELECT coalesce(sum(s.n), 0) FROM throttle_start s
        WHERE s.queue = l.queue AND s.class = l.class AND s.key = l.key AND s.at > ?2 - l.throttle_ms
    ) END,
    CASE WHEN l.throttle_starts IS NULL THEN 0 ELSE EXISTS (
        SELECT 1 FROM job j INDEXED BY job_lane
        WHERE j.state = 3 AND j.queue = l.queue AND j.key = l.key AND j.priority >= l.priority
          AND (j.supersede_key IS NULL OR NOT EXISTS (
              SELECT 1 FROM job r INDEXED BY job_version
              WHERE r.queue = j.queue AND r.supersede_key = j.supersede_key AND r.supersede_key IS NOT NULL AND r.state = 1
          ))
    ) END
FROM limited l
