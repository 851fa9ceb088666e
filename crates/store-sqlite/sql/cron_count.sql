-- cron_count: how many schedules there are beside ?1.
SELECT count(*) FROM cron WHERE name <> ?1
