-- throttle_expire: forgets at most ?2 starts that no throttle counts at ?1 any more.
DELETE FROM throttle_start
WHERE (queue, class, key, at) IN (
    SELECT s.queue, s.class, s.key, s.at
    FROM limit_class c
    CROSS JOIN throttle_start s INDEXED BY throttle_start_age
        ON s.queue = c.queue AND s.class = c.class AND s.at <= ?1 - coalesce(c.throttle_ms, 0)
    LIMIT ?2
)
