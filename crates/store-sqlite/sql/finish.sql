-- finish: writes live jobs into the history; ?1 is a JSON array of [id as hex, state, reason, attempt, crashes], ?2 the
-- time. The live row is deleted by forget_live.
INSERT INTO history (
    id, queue, kind, state, reason, priority, weight, key, class, settled, attempt, max_attempts, crashes, timeout_ms,
    unique_key, unique_ms, created_at, leased_at, finished_at, supersede_key, version_at, version_id
)
SELECT
    j.id, j.queue, j.kind, e.value ->> 1, e.value ->> 2, j.priority, j.weight, j.key, j.class,
    coalesce(j.token, j.settled), e.value ->> 3, j.max_attempts, e.value ->> 4, j.timeout_ms, j.unique_key,
    j.unique_ms, j.created_at, j.leased_at, ?2, j.supersede_key, j.version_at, j.version_id
FROM jsonb_each(?1) e
CROSS JOIN job j ON j.id = unhex(e.value ->> 0)
