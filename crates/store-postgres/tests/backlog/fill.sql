-- A backlog of the queue 1, written past its functions: as many ready, scheduled, parked and finished jobs each as the setting
-- backlog.rows says, numbered from backlog.first on. A fifth of the ready ones is of one key, and of the parked ones too.
CREATE TEMPORARY TABLE backlog AS
SELECT n, queue.queue_now() AS now_ms, queue.queue_now() - 86400000 AS at,
       (lpad(to_hex(queue.queue_now() - 86400000), 12, '0') || '7000a' || lpad(to_hex(n), 15, '0'))::uuid AS ready,
       (lpad(to_hex(queue.queue_now() - 86400000), 12, '0') || '7000b' || lpad(to_hex(n), 15, '0'))::uuid AS scheduled,
       (lpad(to_hex(queue.queue_now() - 86400000), 12, '0') || '7000c' || lpad(to_hex(n), 15, '0'))::uuid AS parked,
       (lpad(to_hex(queue.queue_now() - 86400000), 12, '0') || '7000d' || lpad(to_hex(n), 15, '0'))::uuid AS finished
FROM generate_series(
    current_setting('backlog.first')::bigint, current_setting('backlog.first')::bigint + current_setting('backlog.rows')::bigint - 1
) n;

INSERT INTO queue.job (id, pass, arrival, created_at, timeout_ms, attempt, max_attempts, crashes, queue, state, priority, weight,
                       ready_at, kind, key, class, payload)
SELECT b.ready, (CASE WHEN b.n % 5 = 0 THEN b.n / 5 ELSE b.n / 4000 END + 1) * 1000000, b.n + 1, b.at, 600000, 1, 4, 0, 1, 2, 0, 1,
       b.now_ms, 'review', CASE WHEN b.n % 5 = 0 THEN 'user:big' ELSE 'user:' || b.n % 5000 END, 'user', '{"pull":1}'
FROM backlog b;

INSERT INTO queue.job (id, pass, arrival, created_at, timeout_ms, attempt, max_attempts, crashes, queue, state, priority, weight,
                       run_at, unique_ms, kind, key, class, unique_key, payload)
SELECT b.scheduled, 0, 0, b.at, 600000, 1, 4, 0, 1, 0, 0, 1, b.now_ms + 86400000 + b.n, 60000, 'review', 'user:' || b.n % 5000,
       'user', 'pull:' || b.n, '{"pull":1}'
FROM backlog b;
INSERT INTO queue.unique_key (queue, key, job) SELECT 1, 'pull:' || b.n, b.scheduled FROM backlog b;

INSERT INTO queue.job (id, pass, arrival, created_at, timeout_ms, attempt, max_attempts, crashes, queue, state, priority, weight,
                       ready_at, kind, key, class, payload)
SELECT b.parked, 0, b.n + 1, b.at, 600000, 1, 4, 0, 1, 3, 0, 1, b.now_ms, 'review',
       CASE WHEN b.n % 5 = 0 THEN 'user:hot' ELSE 'full:' || b.n % 400 END, CASE WHEN b.n % 5 = 0 THEN 'user' ELSE 'one' END,
       '{"pull":1}'
FROM backlog b;

-- The lease that keeps the others of each such key parked, once: for a day, by claims of a hundred jobs.
INSERT INTO queue.job (id, pass, arrival, created_at, timeout_ms, attempt, max_attempts, crashes, queue, state, priority, weight,
                       ready_at, leased_at, expires_at, token, worker, kind, key, class, payload)
SELECT md5('lease' || n)::uuid, 0, 0, queue.queue_now(), 600000, 1, 4, 0, 1, 1, 0, 1, queue.queue_now(), queue.queue_now(),
       queue.queue_now() + 86400000, md5('token' || n / 100)::uuid, 'away', 'review', 'full:' || n, 'one', '{"pull":1}'
FROM generate_series(0, 399) n WHERE current_setting('backlog.first') = '0';
INSERT INTO queue.claimed (token, check_at, held, ids)
SELECT j.token, min(j.expires_at), count(*), array_agg(j.id) FROM queue.job j WHERE j.worker = 'away' GROUP BY j.token
ON CONFLICT (token) DO NOTHING;

INSERT INTO queue.history (id, created_at, finished_at, timeout_ms, attempt, max_attempts, crashes, queue, state, priority, weight,
                           reason, kind, key, class, payload)
SELECT b.finished, b.at, b.at + b.n, 600000, 1, 4, 0, 1, CASE WHEN b.n % 10 = 0 THEN 5 ELSE 4 END, 0, 1,
       CASE WHEN b.n % 10 = 0 THEN 1 END, 'review', 'user:' || b.n % 5000, 'user', '{"pull":1}'
FROM backlog b;
INSERT INTO queue.job_error (job, seq, attempt, kind, message, at)
SELECT b.finished, 1, 1, 3, 'no such commit', b.at + b.n FROM backlog b WHERE b.n % 10 = 0;

INSERT INTO queue.depth AS d (queue, slot, scheduled, ready, parked, leased, dead)
SELECT 1, 0, count(*), count(*), count(*), CASE WHEN current_setting('backlog.first') = '0' THEN 400 ELSE 0 END, count(*) / 10
FROM backlog
ON CONFLICT (queue, slot) DO UPDATE SET scheduled = d.scheduled + excluded.scheduled, ready = d.ready + excluded.ready,
    parked = d.parked + excluded.parked, leased = d.leased + excluded.leased, dead = d.dead + excluded.dead;
SELECT setval('queue.arrival', greatest(nextval('queue.arrival'), (SELECT max(n) FROM backlog) + 2));
