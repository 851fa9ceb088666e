-- taken_keys: which of the unique keys ?1 (JSON array of [queue, key]) are taken at ?2, and by which job; its supersede key,
-- if it has one, and whether it waits.
WITH asked(at, queue, key) AS MATERIALIZED (SELECT e.key, e.value ->> 0, e.value ->> 1 FROM jsonb_each(?1) e)
SELECT
    a.at, u.job, u.supersede_key,
    CASE WHEN u.supersede_key IS NULL THEN 0 ELSE EXISTS (
        SELECT 1 FROM job j WHERE j.id = u.job AND j.state <> 1
    ) END
FROM asked a
CROSS JOIN unique_key u ON u.queue = a.queue AND u.key = a.key
WHERE u.until IS NULL OR u.until > ?2
