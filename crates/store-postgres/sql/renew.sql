-- renew: extends the leases of jobs $1 under tokens $2 by $3 ms from now. See queue.renew.
SELECT job, token, cancel FROM queue.renew($1, $2, $3)
