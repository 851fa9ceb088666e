-- waiting: the scheduled jobs among ?1 (JSON array of hex), in that order, as `due` answers them.
SELECT j.id, j.queue, j.key, j.class, j.priority, j.weight, j.arrival, j.supersede_key
FROM jsonb_each(?1) e
CROSS JOIN job j ON j.id = unhex(e.value)
WHERE j.state = 0
ORDER BY e.key
