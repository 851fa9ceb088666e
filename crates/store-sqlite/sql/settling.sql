-- settling: what stands in the store of the jobs ?1 (JSON array of hex) that are to be settled.
SELECT
    e.key, j.queue, j.key, j.state, j.token, coalesce(j.settled, h.settled), j.cancel, j.attempt, j.max_attempts,
    j.crashes, j.unique_key, j.unique_ms, j.supersede_key
FROM jsonb_each(?1) e
LEFT JOIN job j ON j.id = unhex(e.value)
LEFT JOIN history h ON j.id IS NULL AND h.id = unhex(e.value)
