-- group_drop: forgets the group ?1.
DELETE FROM queue_group WHERE id = ?1
