-- best_parked: the first ?2 parked jobs of each of the keys ?1, a JSON array of [queue, key].
WITH freed(queue, key) AS MATERIALIZED (SELECT e.value ->> 0, e.value ->> 1 FROM jsonb_each(?1) e)
SELECT j.id, j.queue, j.key, j.class, j.priority, j.weight, j.arrival
FROM freed f
CROSS JOIN job j ON j.id IN (
    SELECT p.id FROM job p INDEXED BY job_lane
    WHERE p.state = 3 AND p.queue = f.queue AND p.key = f.key
    ORDER BY p.priority DESC, p.arrival LIMIT ?2
)
WHERE j.state = 3
ORDER BY j.queue, j.key, j.priority DESC, j.arrival
