-- errors_of: what went wrong in the jobs ?1 (JSON array of hex), oldest first.
SELECT d.job, d.attempt, d.kind, d.message, d.at
FROM jsonb_each(?1) e CROSS JOIN job_error d ON d.job = unhex(e.value)
ORDER BY d.job, d.seq
