-- key_limit: sets the limit ?3 of the key ?2 of queue ?1 over its class.
INSERT INTO key_override (queue, key, job_limit) VALUES (?1, ?2, ?3)
ON CONFLICT (queue, key) DO UPDATE SET job_limit = excluded.job_limit
