-- announce: gives the room that the keys $2 of queues $1 have to at most $3 parked jobs of each, and wakes who listens.
SELECT queue.announce($1, $2, $3)
