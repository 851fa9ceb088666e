-- give_back: ends leases of jobs that go on living, scheduled or ready again; ?1 is a JSON array of
-- [id as hex, state, run_at, attempt, crashes], ?2 the time. A job that is ready again has its old turn and arrival.
UPDATE job SET
    state = f.state, run_at = f.run_at, ready_at = ?2, attempt = f.attempt, crashes = f.crashes, settled = token,
    token = NULL, worker = NULL, expires_at = NULL
FROM (SELECT unhex(value ->> 0) AS id, value ->> 1 AS state, value ->> 2 AS run_at, value ->> 3 AS attempt,
             value ->> 4 AS crashes
      FROM jsonb_each(?1)) f
WHERE job.id = f.id
