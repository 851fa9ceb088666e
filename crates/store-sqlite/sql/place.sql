-- place: waiting jobs become ready or parked; ?1 is a JSON array of [id as hex, state, pass, arrival], ?2 the time.
UPDATE job SET state = f.state, pass = f.pass, arrival = f.arrival, run_at = NULL, ready_at = ?2
FROM (SELECT unhex(value ->> 0) AS id, value ->> 1 AS state, value ->> 2 AS pass, value ->> 3 AS arrival
      FROM jsonb_each(?1)) f
WHERE job.id = f.id
