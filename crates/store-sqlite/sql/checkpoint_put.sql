-- checkpoint_put: keeps the value ?3 of step ?2 of job ?1, as the one written last.
INSERT INTO checkpoint (job, step, seq, value)
VALUES (?1, ?2, coalesce((SELECT max(seq) FROM checkpoint WHERE job = ?1), 0) + 1, ?3)
ON CONFLICT (job, step) DO UPDATE SET seq = excluded.seq, value = excluded.value
