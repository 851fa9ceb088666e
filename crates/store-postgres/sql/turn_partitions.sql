-- turn_partitions: makes the partitions of the months to come and drops empty old ones.
SELECT queue.turn_partitions()
