-- group_queues: the names of the queues of group $1.
SELECT name FROM queue.queue WHERE group_id = $1 ORDER BY name
