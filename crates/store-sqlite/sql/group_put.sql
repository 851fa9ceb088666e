-- group_put: makes sure that the group ?1 exists and has the limit ?2; answers its id.
INSERT INTO queue_group (name, job_limit) VALUES (?1, ?2)
ON CONFLICT (name) DO UPDATE SET job_limit = excluded.job_limit
RETURNING id
