-- enqueue: stores a batch of jobs; arrays with one element a job. See queue.enqueue.
SELECT answers, holders, woke, retry_in_ms, parked_queues, parked_keys, on_disk
FROM queue.enqueue($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
