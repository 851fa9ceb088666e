-- unique_take: gives unique keys to live jobs; ?1 is a JSON array of [queue, key, job as hex, supersede key]. A row whose
-- window has ended, or that an older version holds, is replaced.
INSERT OR REPLACE INTO unique_key (queue, key, job, until, supersede_key)
SELECT value ->> 0, value ->> 1, unhex(value ->> 2), NULL, value ->> 3 FROM jsonb_each(?1)
