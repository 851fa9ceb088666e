-- parked_versions: the parked jobs of the supersede keys ?1 (JSON array of [queue, supersede key]) none of whose jobs is
-- leased, as best_parked answers them.
SELECT j.id, j.queue, j.key, j.class, j.priority, j.weight, j.arrival, j.supersede_key
FROM jsonb_each(?1) e
CROSS JOIN job j INDEXED BY job_version
    ON j.queue = e.value ->> 0 AND j.supersede_key = e.value ->> 1 AND j.supersede_key IS NOT NULL AND j.state = 3
WHERE NOT EXISTS (
    SELECT 1 FROM job r INDEXED BY job_version
    WHERE r.queue = j.queue AND r.supersede_key = j.supersede_key AND r.supersede_key IS NOT NULL AND r.state = 1
)
ORDER BY j.queue, j.key, j.priority DESC, j.arrival
