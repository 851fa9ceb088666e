-- job_of: what an operator's command needs to know of the job ?1, live or finished.
SELECT id, state, queue, key, unique_key, attempt, crashes, supersede_key, version_at, version_id FROM job WHERE id = ?1
UNION ALL
SELECT id, state, queue, key, unique_key, attempt, crashes, supersede_key, version_at, version_id FROM history
WHERE id = ?1
