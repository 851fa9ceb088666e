-- turn_raise: raises the greatest pass leased so far; ?1 is a JSON array of [queue, priority, pass].
INSERT INTO turn (queue, priority, v)
SELECT value ->> 0, value ->> 1, value ->> 2 FROM jsonb_each(?1) WHERE true
ON CONFLICT (queue, priority) DO UPDATE SET v = max(v, excluded.v)
