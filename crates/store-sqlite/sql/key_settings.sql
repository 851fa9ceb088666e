-- key_settings: what is set for the first ?2 keys of queue ?1 that have something of their own.
SELECT key, job_limit, paused FROM key_override WHERE queue = ?1 ORDER BY key LIMIT ?2
