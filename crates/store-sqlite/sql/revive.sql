-- revive: brings the finished jobs ?1 (JSON array of hex) back with a fresh budget, scheduled for ?2; the row of the
-- history is deleted by forget_finished.
INSERT INTO job (
    id, queue, kind, state, priority, weight, pass, arrival, key, class, run_at, settled, attempt, max_attempts, crashes,
    timeout_ms, unique_key, unique_ms, created_at, supersede_key, version_at, version_id
)
SELECT
    h.id, h.queue, h.kind, 0, h.priority, h.weight, 0, 0, h.key, h.class, ?2, h.settled, 1, h.max_attempts, 0,
    h.timeout_ms, h.unique_key, h.unique_ms, h.created_at, h.supersede_key, h.version_at, h.version_id
FROM jsonb_each(?1) e
CROSS JOIN history h ON h.id = unhex(e.value)
