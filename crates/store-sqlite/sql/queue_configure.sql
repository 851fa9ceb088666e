-- queue_configure: makes sure that the queue ?1 exists, and gives it the limit ?2 unless that was configured last.
INSERT INTO queue (name, job_limit, configured) VALUES (?1, ?2, coalesce(?2, -1))
ON CONFLICT (name) DO UPDATE SET job_limit = excluded.job_limit, configured = excluded.configured
WHERE queue.configured IS NOT excluded.configured
