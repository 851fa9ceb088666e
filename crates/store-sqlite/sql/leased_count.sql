-- leased_count: how many jobs of queue ?1 are leased; asked for queues that have a limit, which bounds it.
SELECT count(*) FROM job INDEXED BY job_token WHERE state = 1 AND queue = ?1
