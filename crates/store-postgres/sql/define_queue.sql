-- define_queue: makes sure that the queue $1 exists and has the limit $2.
SELECT queue.define_queue($1, $2)
