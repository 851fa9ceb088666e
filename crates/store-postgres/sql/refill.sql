-- refill: gives the room that the keys $2 of queues $1 have to at most $3 parked jobs of each. See queue.fill.
SELECT queue.refill($1, $2, $3)
