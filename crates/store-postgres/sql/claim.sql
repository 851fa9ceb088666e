-- claim: leases up to $3 jobs of the queues $2 under the token $1. See queue.claim.
SELECT unknown, ids, more, next_due_in_ms, parked_queues, parked_keys FROM queue.claim($1, $2, $3, $4, $5, $6)
