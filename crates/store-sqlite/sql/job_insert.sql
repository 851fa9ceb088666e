-- job_insert: stores live jobs; ?1 is a JSON array with one row a job, ?2 the time. A row is [id as hex, queue, kind, state,
-- [priority, weight, pass, arrival], [key, class, run_at], [max_attempts, timeout_ms], null or [unique key, window],
-- null or [supersede key, version's time, version's id]].
INSERT INTO job (
    id, queue, kind, state, priority, weight, pass, arrival, key, class, run_at, ready_at, max_attempts, timeout_ms,
    unique_key, unique_ms, supersede_key, version_at, version_id, attempt, crashes, created_at
)
SELECT
    unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3,
    value ->> '$[4][0]', value ->> '$[4][1]', value ->> '$[4][2]', value ->> '$[4][3]',
    value ->> '$[5][0]', value ->> '$[5][1]', value ->> '$[5][2]', iif(value ->> 3 = 2, ?2, NULL),
    value ->> '$[6][0]', value ->> '$[6][1]', value ->> '$[7][0]', value ->> '$[7][1]',
    value ->> '$[8][0]', value ->> '$[8][1]', value ->> '$[8][2]', 1, 0, ?2
FROM jsonb_each(?1)
