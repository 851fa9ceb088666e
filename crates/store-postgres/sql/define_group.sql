-- define_group: makes the queues $2 the group $1 with the limit $3. See queue.define_group.
SELECT other_queue, other_group FROM queue.define_group($1, $2, $3)
