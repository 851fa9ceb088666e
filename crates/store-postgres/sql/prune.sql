-- prune: forgets or counts finished jobs. See queue.prune.
SELECT pruned, more FROM queue.prune($1, $2, $3, $4, $5, $6, $7, $8)
