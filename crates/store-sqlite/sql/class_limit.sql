-- class_limit: sets the limit ?3 of the class ?2 of queue ?1, which becomes known by it.
INSERT INTO limit_class (queue, class, job_limit) VALUES (?1, ?2, ?3)
ON CONFLICT (queue, class) DO UPDATE SET job_limit = excluded.job_limit
