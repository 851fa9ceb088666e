-- list: at most $6 jobs with an id below $1, newest first: of queue $2, state $3, kind $4 and key $5, created from
-- $7 on and before $8, or any. Which of the two tables cannot have the state is not read.
SELECT
    v.*,
    (SELECT array_agg(e.attempt ORDER BY e.seq) FROM queue.job_error e WHERE e.job = v.id),
    (SELECT array_agg(e.kind ORDER BY e.seq) FROM queue.job_error e WHERE e.job = v.id),
    (SELECT array_agg(e.message ORDER BY e.seq) FROM queue.job_error e WHERE e.job = v.id),
    (SELECT array_agg(e.at ORDER BY e.seq) FROM queue.job_error e WHERE e.job = v.id),
    (SELECT array_agg(c.step ORDER BY c.seq) FROM queue.checkpoint c WHERE c.job = v.id)
FROM (
    (SELECT
        j.id, q.name, j.kind, j.payload, j.priority, j.weight, j.key, j.class, j.unique_key, j.unique_ms, j.attempt,
    j.max_attempts, j.crashes, j.timeout_ms, j.trace_parent, j.created_at, j.supersede_key, j.version_at, j.version_id,
        j.state, j.run_at, j.ready_at, j.worker, j.leased_at, j.expires_at, j.cancel, NULL::bigint AS finished_at
    FROM queue.job j JOIN queue.queue q ON q.id = j.queue
    WHERE ($3::smallint IS NULL OR $3 < 4) AND ($1::uuid IS NULL OR j.id < $1) AND ($2::text IS NULL OR q.name = $2) AND ($3::smallint IS NULL OR j.state = $3)
      AND ($4::text IS NULL OR j.kind = $4) AND ($5::text IS NULL OR j.key = $5)
      AND ($7::bigint IS NULL OR j.created_at >= $7) AND ($8::bigint IS NULL OR j.created_at < $8)
    ORDER BY j.id DESC LIMIT $6)
    UNION ALL
    (SELECT
        j.id, q.name, j.kind, j.payload, j.priority, j.weight, j.key, j.class, j.unique_key, j.unique_ms, j.attempt,
    j.max_attempts, j.crashes, j.timeout_ms, j.trace_parent, j.created_at, j.supersede_key, j.version_at, j.version_id,
        j.state, NULL, NULL, NULL, j.leased_at, NULL, j.reason, j.finished_at
    FROM queue.history j JOIN queue.queue q ON q.id = j.queue
    WHERE ($3::smallint IS NULL OR $3 >= 4) AND ($1::uuid IS NULL OR j.id < $1) AND ($2::text IS NULL OR q.name = $2) AND ($3::smallint IS NULL OR j.state = $3)
      AND ($4::text IS NULL OR j.kind = $4) AND ($5::text IS NULL OR j.key = $5)
      AND ($7::bigint IS NULL OR j.created_at >= $7) AND ($8::bigint IS NULL OR j.created_at < $8)
    ORDER BY j.id DESC LIMIT $6)
) v
ORDER BY v.id DESC LIMIT $6
