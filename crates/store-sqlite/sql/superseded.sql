-- superseded: the live jobs of the supersede keys ?1 (JSON array of [queue, supersede key]), as job_of answers them.
SELECT
    j.id, j.state, j.queue, j.key, j.unique_key, j.attempt, j.crashes, j.supersede_key, j.version_at, j.version_id
FROM jsonb_each(?1) e
CROSS JOIN job j INDEXED BY job_version
    ON j.queue = e.value ->> 0 AND j.supersede_key = e.value ->> 1 AND j.supersede_key IS NOT NULL
