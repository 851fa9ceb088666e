-- queue_id: the id of the queue $1.
SELECT id FROM queue.queue WHERE name = $1
