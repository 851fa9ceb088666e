-- queue_resume: ends the pause of queue ?1 at ?2; the time before does not count as waiting.
UPDATE queue SET paused = 0, resumed_at = ?2 WHERE id = ?1 AND paused
