-- sweep: gives room to the parked jobs of $3 keys of queue $1 after the key $2, at most $4 of each.
SELECT freed, seen, last FROM queue.sweep($1, $2, $3, $4)
