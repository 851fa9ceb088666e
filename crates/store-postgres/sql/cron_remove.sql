-- cron_remove: forgets the schedule $1; answers it.
DELETE FROM queue.cron WHERE name = $1 RETURNING name
