-- queue_limit: sets the limit ?2 of queue ?1.
UPDATE queue SET job_limit = ?2 WHERE id = ?1
