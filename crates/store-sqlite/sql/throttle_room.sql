-- throttle_room: of the keys ?1 (JSON array of [queue, class, key]) of throttled classes, how many jobs each may still take
-- at ?2 before a job would wait, those that wait already counted (no throttle allows more than 1,000), and how long until
-- its next start leaves the period.
WITH asked(at, queue, class, key) AS MATERIALIZED (
    SELECT e.key, e.value ->> 0, e.value ->> 1, e.value ->> 2 FROM jsonb_each(?1) e
)
SELECT
    a.at,
    c.throttle_starts - (
        SELECT coalesce(sum(s.n), 0) FROM throttle_start s
        WHERE s.queue = a.queue AND s.class = a.class AND s.key = a.key AND s.at > ?2 - c.throttle_ms
    ) - (
        SELECT count(*) FROM (
            SELECT 1 FROM job j INDEXED BY job_lane
            WHERE j.queue = a.queue AND j.key = a.key AND j.state IN (2, 3) LIMIT 1000
        )
    ),
    c.throttle_ms + coalesce((
        SELECT min(s.at) FROM throttle_start s
        WHERE s.queue = a.queue AND s.class = a.class AND s.key = a.key AND s.at > ?2 - c.throttle_ms
    ), ?2) - ?2
FROM asked a
CROSS JOIN limit_class c ON c.queue = a.queue AND c.class = a.class
WHERE c.throttle_starts IS NOT NULL
