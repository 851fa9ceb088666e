-- queue_ids: all queues by their ids. There are few, all from the configuration.
SELECT id FROM queue.queue ORDER BY id
