-- forget_live: deletes live rows that stand in the history; ?1 is the JSON array that finish got.
DELETE FROM job WHERE id IN (SELECT unhex(value ->> 0) FROM jsonb_each(?1))
