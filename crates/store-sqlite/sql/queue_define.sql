-- queue_define: makes sure that the queue ?1 exists and has the limit ?2.
INSERT INTO queue (name, job_limit) VALUES (?1, ?2)
ON CONFLICT (name) DO UPDATE SET job_limit = excluded.job_limit
