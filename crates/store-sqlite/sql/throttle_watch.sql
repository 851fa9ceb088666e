-- throttle_watch: notes of the keys ?1 (JSON array of [queue, class, key]) that have parked jobs when the first of their
-- starts of the period before ?2 leaves it, and the key is to be looked at again. Without such a start there is nothing to
-- wait for: the next start notes the key.
INSERT INTO throttled (queue, key, until)
SELECT f.queue, f.key, f.until
FROM (
    SELECT e.value ->> 0 AS queue, e.value ->> 2 AS key, (
        SELECT min(s.at) + c.throttle_ms
        FROM limit_class c
        CROSS JOIN throttle_start s ON s.queue = c.queue AND s.class = c.class AND s.key = e.value ->> 2
            AND s.at > ?2 - c.throttle_ms
        WHERE c.queue = e.value ->> 0 AND c.class = e.value ->> 1
    ) AS until
    FROM jsonb_each(?1) e
) f
WHERE f.until IS NOT NULL AND EXISTS (
    SELECT 1 FROM job j INDEXED BY job_lane WHERE j.queue = f.queue AND j.key = f.key AND j.state = 3
)
ON CONFLICT (queue, key) DO UPDATE SET until = min(until, excluded.until)
