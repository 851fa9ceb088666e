-- prune: forgets at most $2 finished jobs that ended before $1, dead ones excepted.
SELECT queue.prune($1, $2)
