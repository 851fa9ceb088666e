-- key_pause: pauses (?3 = 1) or resumes (?3 = 0) the key ?2 of queue ?1.
INSERT INTO key_override (queue, key, paused) VALUES (?1, ?2, ?3)
ON CONFLICT (queue, key) DO UPDATE SET paused = excluded.paused
