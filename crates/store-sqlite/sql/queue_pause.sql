-- queue_pause: keeps the jobs of queue ?1 from starting.
UPDATE queue SET paused = 1 WHERE id = ?1
