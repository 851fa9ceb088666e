-- forget_finished: deletes rows of the history; ?1 is a JSON array of hex.
DELETE FROM history WHERE id IN (SELECT unhex(value) FROM jsonb_each(?1))
