-- expire_starts: forgets at most $1 starts that no throttle counts. See queue.expire_starts.
SELECT queue.expire_starts($1)
