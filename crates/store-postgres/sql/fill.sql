-- fill: gives the room that $3 ended leases of each of the keys $2 of queues $1 have left to parked jobs. See queue.fill.
SELECT queue.fill($1, $2, $3, $4)
