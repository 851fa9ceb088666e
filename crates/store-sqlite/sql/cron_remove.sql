-- cron_remove: forgets the schedule ?1.
DELETE FROM cron WHERE name = ?1
