-- running_versions: which of the supersede keys ?1 (JSON array of [queue, supersede key]) have a leased job; answers their
-- positions.
SELECT e.key FROM jsonb_each(?1) e
WHERE EXISTS (
    SELECT 1 FROM job j INDEXED BY job_version
    WHERE j.queue = e.value ->> 0 AND j.supersede_key = e.value ->> 1 AND j.supersede_key IS NOT NULL AND j.state = 1
)
