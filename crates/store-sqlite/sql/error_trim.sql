-- error_trim: keeps the last ?2 errors of the jobs ?1, the JSON array that error_insert got.
DELETE FROM job_error WHERE (job, seq) IN (
    SELECT f.job, d.seq
    FROM (SELECT unhex(value ->> 0) AS job FROM jsonb_each(?1)) f
    CROSS JOIN job_error d ON d.job = f.job
    WHERE d.seq <= (SELECT max(l.seq) FROM job_error l WHERE l.job = f.job) - ?2
)
