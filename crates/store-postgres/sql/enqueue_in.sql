-- enqueue_in: as enqueue, in a transaction of the caller's. See queue.enqueue_in.
SELECT answers, holders, woke, retry_in_ms, parked_queues, parked_keys
FROM queue.enqueue_in($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
