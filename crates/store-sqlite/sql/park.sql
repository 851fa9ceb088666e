-- park: parks the ready jobs ?1 (JSON array of hex).
UPDATE job SET state = 3 WHERE id IN (SELECT unhex(value) FROM jsonb_each(?1)) AND state = 2
