-- bare_settle: deletes the jobs ?1, a JSON array of their ids.
DELETE FROM bare WHERE id IN (SELECT value FROM jsonb_each(?1))
