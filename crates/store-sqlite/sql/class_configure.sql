-- class_configure: gives the class ?2 of queue ?1 the limit ?3 unless that was configured last; it becomes known by it.
INSERT INTO limit_class (queue, class, job_limit, configured) VALUES (?1, ?2, ?3, coalesce(?3, -1))
ON CONFLICT (queue, class) DO UPDATE SET job_limit = excluded.job_limit, configured = excluded.configured
WHERE limit_class.configured IS NOT excluded.configured
