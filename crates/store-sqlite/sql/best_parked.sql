-- best_parked: the first ?2 parked jobs of each of the keys ?1, a JSON array of [queue, key]; but for those that wait for
-- the older version of their supersede key, which is leased.
WITH freed(queue, key) AS MATERIALIZED (SELECT e.value ->> 0, e.value ->> 1 FROM jsonb_each(?1) e)
SELECT j.id, j.queue, j.key, j.class, j.priority, j.weight, j.arrival, j.supersede_key
FROM freed f
CROSS JOIN job j ON j.id IN (
    SELECT p.id FROM job p INDEXED BY job_lane
    WHERE p.state = 3 AND p.queue = f.queue AND p.key = f.key
      AND (p.supersede_key IS NULL OR NOT EXISTS (
          SELECT 1 FROM job r INDEXED BY job_version
          WHERE r.queue = p.queue AND r.supersede_key = p.supersede_key AND r.supersede_key IS NOT NULL AND r.state = 1
      ))
    ORDER BY p.priority DESC, p.arrival LIMIT ?2
)
WHERE j.state = 3
ORDER BY j.queue, j.key, j.priority DESC, j.arrival
