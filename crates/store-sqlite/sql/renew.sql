-- renew: extends leases to ?2; ?1 is a JSON array of [job as hex, token as hex]. Answers those that are held, with the
-- request to stop, if there is one. The plus keeps the planner, whatever its statistics, from walking all leases.
UPDATE job SET expires_at = ?2
FROM (SELECT unhex(value ->> 0) AS id, unhex(value ->> 1) AS token FROM jsonb_each(?1)) f
WHERE job.id = f.id AND +job.state = 1 AND job.token = f.token
RETURNING id, token, cancel
