-- group_leased: how many jobs of the queues of group ?1 are leased; asked for groups that have a limit, which bounds it.
SELECT count(*) FROM queue q CROSS JOIN job j INDEXED BY job_token ON j.state = 1 AND j.queue = q.id WHERE q.group_id = ?1
