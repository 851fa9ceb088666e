-- group_members: the queues ?2 (JSON array) are those of group ?1, and no others are.
UPDATE queue SET group_id = CASE WHEN id IN (SELECT value FROM jsonb_each(?2)) THEN ?1 END
WHERE group_id IS ?1 OR id IN (SELECT value FROM jsonb_each(?2))
