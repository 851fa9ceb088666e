-- taken_keys: which of the unique keys ?1 (JSON array of [queue, key, supersede key]) are taken at ?2, and by which job. An
-- older version of the same supersede key does not take them.
WITH asked(at, queue, key, supersede_key) AS MATERIALIZED (
    SELECT e.key, e.value ->> 0, e.value ->> 1, e.value ->> 2 FROM jsonb_each(?1) e
)
SELECT a.at, u.job
FROM asked a
CROSS JOIN unique_key u ON u.queue = a.queue AND u.key = a.key
WHERE (u.until IS NULL OR u.until > ?2) AND (u.supersede_key IS NULL OR u.supersede_key IS NOT a.supersede_key)
