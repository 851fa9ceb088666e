-- holds: whether job ?1 is leased under token ?2.
SELECT EXISTS (SELECT 1 FROM job WHERE id = ?1 AND state = 1 AND token = ?2)
