-- unique_end: unique keys of completed jobs stay taken until their window ends; ?1 is a JSON array of
-- [queue, key, job as hex, until].
UPDATE unique_key SET until = f.until
FROM (SELECT value ->> 0 AS queue, value ->> 1 AS key, unhex(value ->> 2) AS job, value ->> 3 AS until
      FROM jsonb_each(?1)) f
WHERE unique_key.queue = f.queue AND unique_key.key = f.key AND unique_key.job = f.job
