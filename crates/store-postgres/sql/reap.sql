-- reap: takes over at most $4 expired leases under the token $1 for worker $2 and $3 ms.
SELECT queue.reap($1, $2, $3, $4)
