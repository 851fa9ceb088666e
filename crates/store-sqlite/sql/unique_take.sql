-- unique_take: gives unique keys to live jobs; ?1 is a JSON array of [queue, key, job as hex]. A row whose window has
-- ended is replaced.
INSERT OR REPLACE INTO unique_key (queue, key, job, until)
SELECT value ->> 0, value ->> 1, unhex(value ->> 2), NULL FROM jsonb_each(?1)
