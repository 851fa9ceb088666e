-- error_insert: keeps what went wrong; ?1 is a JSON array of [job as hex, attempt, kind, message], at most one a job,
-- ?2 the time.
INSERT INTO job_error (job, seq, attempt, kind, message, at)
SELECT
    unhex(value ->> 0),
    coalesce((SELECT max(seq) FROM job_error WHERE job = unhex(value ->> 0)), 0) + 1,
    value ->> 1, value ->> 2, value ->> 3, ?2
FROM jsonb_each(?1)
