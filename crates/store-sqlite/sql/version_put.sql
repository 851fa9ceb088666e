-- version_put: remembers the newest versions until ?2 or longer; ?1 is a JSON array of
-- [queue, supersede key, time, id, job as hex].
INSERT OR REPLACE INTO version (queue, key, at, id, job, forget_at)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, unhex(value ->> 4), ?2 FROM jsonb_each(?1)
