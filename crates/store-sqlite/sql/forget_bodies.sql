-- forget_bodies: drops the bodies of jobs that are forgotten; ?1 is a JSON array of hex.
DELETE FROM job_body WHERE id IN (SELECT unhex(value) FROM jsonb_each(?1))
