-- job_of: what an operator's command needs to know of the job ?1, live or finished.
SELECT state, queue, key, unique_key, attempt, crashes FROM job WHERE id = ?1
UNION ALL
SELECT state, queue, key, unique_key, attempt, crashes FROM history WHERE id = ?1
