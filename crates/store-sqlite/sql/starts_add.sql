-- starts_add: counts ?2 starts of queue ?1.
UPDATE queue SET starts = starts + ?2 WHERE id = ?1
