-- group_of: the name of the group of queue ?1, if it is in another one than ?2.
SELECT g.name FROM queue q CROSS JOIN queue_group g ON g.id = q.group_id WHERE q.id = ?1 AND g.name <> ?2
