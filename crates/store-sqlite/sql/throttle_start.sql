-- throttle_start: counts starts at ?2; ?1 is a JSON array of [queue, class, key, how many].
INSERT INTO throttle_start (queue, class, key, at, n)
SELECT value ->> 0, value ->> 1, value ->> 2, ?2, value ->> 3 FROM jsonb_each(?1) WHERE true
ON CONFLICT (queue, class, key, at) DO UPDATE SET n = n + excluded.n
