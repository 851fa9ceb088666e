-- throttle_expire: forgets at most ?2 starts that no throttle counts at ?1 any more. Those of a class whose throttle was
-- taken away are kept for the longest period that there may be, 30 days, lest it is set again.
DELETE FROM throttle_start
WHERE (queue, class, key, at) IN (
    SELECT s.queue, s.class, s.key, s.at
    FROM limit_class c
    CROSS JOIN throttle_start s INDEXED BY throttle_start_age
        ON s.queue = c.queue AND s.class = c.class AND s.at <= ?1 - coalesce(c.throttle_ms, 2592000000)
    LIMIT ?2
)
