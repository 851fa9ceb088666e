-- settle: ends leases; arrays with one element a settlement. See queue.settle.
SELECT answers, woke, freed_queues, freed_keys, freed, version_queues, versions
FROM queue.settle($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
