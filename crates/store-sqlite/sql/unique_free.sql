-- unique_free: frees the unique keys of dead and cancelled jobs; ?1 is a JSON array of [queue, key, job as hex].
DELETE FROM unique_key WHERE (queue, key, job) IN (
    SELECT value ->> 0, value ->> 1, unhex(value ->> 2) FROM jsonb_each(?1)
)
