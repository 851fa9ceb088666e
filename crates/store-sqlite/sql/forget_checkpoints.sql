-- forget_checkpoints: drops the checkpoints of jobs that will not run again; ?1 is a JSON array of hex.
DELETE FROM checkpoint WHERE job IN (SELECT unhex(value) FROM jsonb_each(?1))
