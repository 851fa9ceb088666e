-- next_wake: how long until the first of what waits for a time. See queue.next_wake.
SELECT queue.next_wake(ARRAY(SELECT q.id FROM queue.queue q), queue.queue_now())
