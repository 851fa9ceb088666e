-- throttle_again: the keys ?1 (JSON array of [queue, key]) are to be looked at again at ?2.
INSERT OR REPLACE INTO throttled (queue, key, until)
SELECT value ->> 0, value ->> 1, ?2 FROM jsonb_each(?1)
