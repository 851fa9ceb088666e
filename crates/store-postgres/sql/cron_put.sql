-- cron_put: stores the schedule $1. See queue.set_cron.
SELECT queue.set_cron($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
