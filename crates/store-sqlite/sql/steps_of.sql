-- steps_of: the names of the checkpoints of the jobs ?1 (JSON array of hex), in the order of writing.
SELECT c.job, c.step
FROM jsonb_each(?1) e CROSS JOIN checkpoint c ON c.job = unhex(e.value)
ORDER BY c.job, c.seq
