-- throttle_set: sets the throttle of the class ?2 of queue ?1, which becomes known by it: ?3 starts in ?4, refusing (?5).
INSERT INTO limit_class (queue, class, throttle_starts, throttle_ms, throttle_refuses) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (queue, class) DO UPDATE SET
    throttle_starts = excluded.throttle_starts, throttle_ms = excluded.throttle_ms,
    throttle_refuses = excluded.throttle_refuses
