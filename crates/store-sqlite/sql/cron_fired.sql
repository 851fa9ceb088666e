-- cron_fired: schedules go on to their next firing; ?1 is a JSON array of [name, next firing, the one that was made, its job
-- as hex].
UPDATE cron SET next_at = f.next_at, last_at = f.last_at, last_job = f.last_job
FROM (SELECT value ->> 0 AS name, value ->> 1 AS next_at, value ->> 2 AS last_at, unhex(value ->> 3) AS last_job
      FROM jsonb_each(?1)) f
WHERE cron.name = f.name
