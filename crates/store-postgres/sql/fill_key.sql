-- fill_key: gives its room to at most $3 parked jobs of the key $2 of queue $1.
SELECT queue.fill_key($1, $2, $3)
