-- fill: gives the room that $3 ended leases of each of the keys $2 of queues $1 have left to parked jobs, and looks at those
-- of the supersede keys $5 of queues $4. See queue.fill.
SELECT queue.fill($1, $2, $3, $4, $5, $6)
