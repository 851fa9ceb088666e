-- known_ids: which of the ids ?1 (JSON array of hex) are stored already, live or finished; answers their positions.
SELECT e.key FROM jsonb_each(?1) e WHERE EXISTS (SELECT 1 FROM job_body b WHERE b.id = unhex(e.value))
