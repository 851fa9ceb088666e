-- key_rested: the jobs of the key ?2 of queue ?1 that were ready at its pause wait from ?3 on.
UPDATE job SET ready_at = ?3 WHERE state = 2 AND queue = ?1 AND key = ?2
