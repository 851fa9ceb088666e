-- versions: what is known of the supersede keys ?1 (JSON array of [queue, supersede key]): the newest version and its job.
WITH asked(at, queue, key) AS MATERIALIZED (SELECT e.key, e.value ->> 0, e.value ->> 1 FROM jsonb_each(?1) e)
SELECT a.at, v.at, v.id, v.job
FROM asked a
CROSS JOIN version v ON v.queue = a.queue AND v.key = a.key
