-- forget_errors: drops the errors of jobs that are forgotten; ?1 is a JSON array of hex.
DELETE FROM job_error WHERE job IN (SELECT unhex(value) FROM jsonb_each(?1))
