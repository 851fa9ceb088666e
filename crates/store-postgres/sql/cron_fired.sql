-- cron_fired: the schedules $1 go on to their next firings $2, after those at $3 that made the jobs $4.
UPDATE queue.cron c SET next_at = u.next_at, last_at = u.last_at, last_job = u.job
FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::uuid[]) u(name, next_at, last_at, job)
WHERE c.name = u.name
