-- now: the time of the queue's clock.
SELECT queue.queue_now()
