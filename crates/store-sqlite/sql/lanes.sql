-- lanes: what decides whether a job may become ready; ?1 is a JSON array of [queue, key, class, priority, arrival]. Answers
-- the limit of its key, how many of the key are leased, how many are ready and start before it, the pass to follow and,
-- if a later job of its lane is ready already, that one's pass.
WITH asked(at, queue, key, class, priority, arrival) AS MATERIALIZED (
    SELECT e.key, e.value ->> 0, e.value ->> 1, e.value ->> 2, e.value ->> 3, e.value ->> 4 FROM jsonb_each(?1) e
), limited AS MATERIALIZED (
    SELECT a.*, CASE WHEN o.paused THEN 0 ELSE coalesce(o.job_limit, c.job_limit) END AS job_limit
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
    CASE WHEN l.job_limit IS NULL THEN 0 ELSE (
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
    )
FROM limited l
