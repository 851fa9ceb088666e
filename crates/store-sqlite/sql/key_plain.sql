-- key_plain: forgets the override of the key ?2 of queue ?1 when it says nothing any more.
DELETE FROM key_override WHERE queue = ?1 AND key = ?2 AND job_limit IS NULL AND NOT paused
