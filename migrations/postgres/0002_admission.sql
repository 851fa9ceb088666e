-- Who is ready, who is parked, and with which turn: the functions that all operations share.
--
-- Claims of a queue run one at a time, under its lock, and so does all else that changes jobs which wait: what they count of
-- the leases is never exceeded, and a later statement of a call finds a waiting job where an earlier one has seen it, at its
-- ctid. Enqueues and settlements take no lock of a queue: they add ready jobs and take leases away, which makes room and
-- takes none. What that leaves open is closed by a second look: see queue.fill.

-- In plpgsql, which keeps its plan: a function in SQL would be parsed and planned at each call.
CREATE FUNCTION queue.queue_now() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN (
        SELECT coalesce(c.stands_at_ms, (extract(epoch FROM clock_timestamp()) * 1000)::bigint) + c.offset_ms
        FROM queue.clock c
    );
END $$;

-- How long the newest version of a supersede key is remembered: 30 days.
CREATE FUNCTION queue.versions_kept_ms() RETURNS bigint LANGUAGE sql IMMUTABLE AS $$ SELECT 30 * 24 * 60 * 60 * 1000::bigint $$;

-- What follows in the transaction
--  * has plans that do not depend on statistics: no table of jobs is ever walked, hashed or sorted, so that the order in
--    which a statement asks for jobs says which index it takes; and a statement is planned once;
--  * ends when its client does not, should it run in a transaction of several statements.
CREATE FUNCTION queue.tune() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('lock_timeout', '5s', true), set_config('idle_in_transaction_session_timeout', '5s', true),
            set_config('plan_cache_mode', 'force_generic_plan', true), set_config('jit', 'off', true),
            set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),
            set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
            set_config('enable_sort', 'off', true);
END $$;

-- Tunes the transaction, locks queues, in one order for all callers, and answers the time. It commits without waiting for the
-- disk, so that locks are short; the caller waits for it afterwards (queue.flush).
CREATE FUNCTION queue.enter(queues integer[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    one integer;
BEGIN
    PERFORM queue.tune(), set_config('synchronous_commit', 'off', true);
    IF cardinality(queues) > 0 THEN
        FOR one IN SELECT DISTINCT u FROM unnest(queues) u WHERE u IS NOT NULL ORDER BY u LOOP
            -- "rfq1" keeps these locks apart from those of other programs in the same database.
            PERFORM pg_advisory_xact_lock(1919316273, one);
        END LOOP;
    END IF;
    RETURN queue.queue_now();
END $$;

-- The transaction's commit waits for the disk, and for what the server's settings ask for beyond it.
CREATE FUNCTION queue.wait_for_disk() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
END $$;

-- Puts on disk all that was committed before the call.
CREATE FUNCTION queue.flush() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM queue.wait_for_disk();
    -- A commit that has written nothing would wait for nothing.
    PERFORM pg_logical_emit_message(true, 'reviewfleet', '');
END $$;

-- Counts moves of jobs from state to state; NULL where a job comes from or goes to nowhere. Dead letters are counted too.
-- The last statement of its transaction that waits for others.
CREATE FUNCTION queue.count_moves(queues integer[], froms smallint[], tos smallint[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    -- See queue.own_slot.
    own_slot smallint := coalesce(nullif(current_setting('reviewfleet.slot', true), '')::smallint, pg_backend_pid() % 16);
BEGIN
    INSERT INTO queue.depth AS d (queue, slot, scheduled, ready, parked, leased, dead)
    SELECT m.queue, own_slot,
           coalesce(sum(m.jobs) FILTER (WHERE m.t = 0), 0) - coalesce(sum(m.jobs) FILTER (WHERE m.f = 0), 0),
           coalesce(sum(m.jobs) FILTER (WHERE m.t = 2), 0) - coalesce(sum(m.jobs) FILTER (WHERE m.f = 2), 0),
           coalesce(sum(m.jobs) FILTER (WHERE m.t = 3), 0) - coalesce(sum(m.jobs) FILTER (WHERE m.f = 3), 0),
           coalesce(sum(m.jobs) FILTER (WHERE m.t = 1), 0) - coalesce(sum(m.jobs) FILTER (WHERE m.f = 1), 0),
           coalesce(sum(m.jobs) FILTER (WHERE m.t = 5), 0) - coalesce(sum(m.jobs) FILTER (WHERE m.f = 5), 0)
    FROM (
        -- Nearly all jobs of a call make the same move.
        SELECT u.queue, u.f, u.t, count(*)::integer AS jobs
        FROM unnest(queues, froms, tos) u(queue, f, t) WHERE u.queue IS NOT NULL GROUP BY u.queue, u.f, u.t
    ) m
    GROUP BY m.queue ORDER BY m.queue
    ON CONFLICT (queue, slot) DO UPDATE SET
        scheduled = d.scheduled + excluded.scheduled,
        ready     = d.ready + excluded.ready,
        parked    = d.parked + excluded.parked,
        leased    = d.leased + excluded.leased,
        dead      = d.dead + excluded.dead;
END $$;

-- The turns of jobs that become ready behind all others of their lanes, in the order given; NULL for those without a queue.
--
-- pass = max(V, last ready pass of the lane) + stride / weight, where V is the greatest pass leased so far at that priority.
-- A key that comes anew starts next to V, and one with a long backlog has spread its jobs out, so that the keys alternate
-- along the index. 1,000,000 divides well by the weights, which reach to 1,000.
CREATE FUNCTION queue.turns(queues integer[], keys text[], priorities smallint[], weights smallint[]) RETURNS bigint[]
LANGUAGE plpgsql AS $$
DECLARE
    passes bigint[];
BEGIN
    SELECT array_agg(CASE WHEN t.queue IS NOT NULL THEN t.start + t.distance END ORDER BY t.nth) INTO passes
    FROM (
        -- Looked up for the first of each lane alone, and the same for all of it.
        SELECT a.nth, a.queue, a.distance, max(CASE WHEN a.place = 1 THEN greatest(
                (SELECT v.v FROM queue.turn v WHERE v.queue = a.queue AND v.priority = a.priority),
                (SELECT j.pass FROM queue.job j
                 WHERE j.queue = a.queue AND j.key = a.key AND j.state = 2 AND j.priority = a.priority
                 ORDER BY j.priority, j.arrival DESC LIMIT 1),
                0
            ) END) OVER (PARTITION BY a.queue, a.key, a.priority) AS start
        FROM (
            SELECT u.*, row_number() OVER lane AS place, sum(1000000 / u.weight) OVER lane AS distance
            FROM unnest(queues, keys, priorities, weights) WITH ORDINALITY u(queue, key, priority, weight, nth)
            WINDOW lane AS (PARTITION BY u.queue, u.key, u.priority ORDER BY u.nth)
        ) a
    ) t;
    RETURN passes;
END $$;

-- Makes waiting jobs ready that are not.
CREATE FUNCTION queue.place(tids tid[], passes bigint[], arrivals bigint[], now_ms bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE queue.job j SET state = 2, pass = u.pass, arrival = u.arrival, run_at = NULL, ready_at = now_ms
    FROM unnest(tids, passes, arrivals) u(at, pass, arrival)
    WHERE j.ctid = u.at;
END $$;

-- Makes scheduled jobs ready, in the order given, behind all that their keys have waiting; those of a supersede key of which a
-- job is leased are parked. Whether any became ready.
CREATE FUNCTION queue.place_due(ids uuid[], now_ms bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    -- A variable, since with a constant the planner may take an index of that state alone and walk it.
    is_leased CONSTANT smallint := 1;
    tids tid[]; queues integer[]; keys text[]; priorities smallint[]; weights smallint[]; arrivals bigint[];
    held_back tid[]; held_queues integer[];
BEGIN
    SELECT array_agg(j.at ORDER BY u.nth) FILTER (WHERE NOT j.waits), array_agg(j.queue ORDER BY u.nth) FILTER (WHERE NOT j.waits),
           array_agg(j.key ORDER BY u.nth) FILTER (WHERE NOT j.waits),
           array_agg(j.priority ORDER BY u.nth) FILTER (WHERE NOT j.waits),
           array_agg(j.weight ORDER BY u.nth) FILTER (WHERE NOT j.waits),
           array_agg(j.at) FILTER (WHERE j.waits), array_agg(j.queue) FILTER (WHERE j.waits)
    INTO tids, queues, keys, priorities, weights, held_back, held_queues
    FROM unnest(ids) WITH ORDINALITY u(id, nth)
    CROSS JOIN LATERAL (
        SELECT w.ctid AS at, w.queue, w.key, w.priority, w.weight, w.supersede_key IS NOT NULL AND (
            SELECT true FROM queue.job r
            WHERE r.queue = w.queue AND r.supersede_key = w.supersede_key AND r.state = is_leased LIMIT 1
        ) IS NOT NULL AS waits
        FROM queue.job w WHERE w.id = u.id OFFSET 0
    ) j;
    IF held_back IS NOT NULL THEN
        UPDATE queue.job j SET state = 3, arrival = nextval('queue.arrival'), run_at = NULL, ready_at = now_ms
        WHERE j.ctid = ANY (held_back);
        PERFORM queue.count_moves(held_queues, array_fill(0::smallint, ARRAY[cardinality(held_back)]),
                                  array_fill(3::smallint, ARRAY[cardinality(held_back)]));
    END IF;
    IF tids IS NULL THEN
        RETURN false;
    END IF;
    SELECT array_agg(nextval('queue.arrival') ORDER BY n) INTO arrivals FROM generate_series(1, cardinality(tids)) n;
    PERFORM queue.place(tids, queue.turns(queues, keys, priorities, weights), arrivals, now_ms);
    PERFORM queue.count_moves(queues, array_fill(0::smallint, ARRAY[cardinality(tids)]),
                              array_fill(2::smallint, ARRAY[cardinality(tids)]));
    RETURN true;
END $$;

-- Makes the best parked jobs of keys ready, so many of each at most; how many. Either as far as the key has room beside what
-- is leased and ready before them; or, uncounted, as many as leases of the key have ended: should that be too many, since the
-- limit was lowered meanwhile, claims park them again.
--
-- A job that becomes ready before a later one of its lane has its turn before it: behind those of its lane that are ready
-- before it, and with the later one's pass at most.
CREATE FUNCTION queue.unpark(of_queues integer[], of_keys text[], most integer[], counted boolean, now_ms bigint)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    -- A variable, since with a constant the planner may take an index of that state alone and walk it.
    is_leased CONSTANT smallint := 1;
    tids tid[]; queues integer[]; passes bigint[]; arrivals bigint[]; throttled_queues integer[]; throttled_keys text[];
    throttled_classes text[];
BEGIN
    WITH best AS MATERIALIZED (
        SELECT f.queue, f.key, p.*, row_number() OVER (
                PARTITION BY f.queue, f.key, p.class ORDER BY p.priority DESC, p.arrival
            ) AS place
        FROM unnest(of_queues, of_keys, most) f(queue, key, most)
        CROSS JOIN LATERAL (
            SELECT j.ctid AS at, j.class, j.priority, j.weight, j.arrival FROM queue.job j
            WHERE j.queue = f.queue AND j.key = f.key AND j.state = 3 AND (j.supersede_key IS NULL OR (
                SELECT true FROM queue.job r
                WHERE r.queue = j.queue AND r.supersede_key = j.supersede_key AND r.state = is_leased LIMIT 1
            ) IS NULL)
            ORDER BY j.priority DESC, j.arrival LIMIT f.most
        ) p
    ), limited AS MATERIALIZED (
        -- Looked up for the first of each key and class alone.
        SELECT b.*, max(CASE WHEN b.place = 1 THEN coalesce(
                (SELECT CASE WHEN o.paused THEN 0 ELSE o.job_limit END FROM queue.key_override o
                 WHERE o.queue = b.queue AND o.key = b.key),
                (SELECT c.job_limit FROM queue.limit_class c WHERE c.queue = b.queue AND c.class = b.class)
            ) END) OVER same AS job_limit, max(CASE WHEN b.place = 1 AND counted THEN (
                SELECT count(*) FROM queue.job j WHERE j.queue = b.queue AND j.key = b.key AND j.state = 1
            ) ELSE 0 END) OVER same AS leased, max(CASE WHEN b.place = 1 THEN (
                SELECT c.throttle_starts - coalesce((
                    SELECT sum(s.n) FROM queue.throttle_start s
                    WHERE s.queue = b.queue AND s.class = b.class AND s.key = b.key AND s.at > now_ms - c.throttle_ms
                ), 0)
                FROM queue.limit_class c
                WHERE c.queue = b.queue AND c.class = b.class AND c.throttle_starts IS NOT NULL
            ) END) OVER same AS starts
        FROM best b WINDOW same AS (PARTITION BY b.queue, b.key, b.class)
    ), throttled AS MATERIALIZED (
        SELECT l.*, l.starts - CASE WHEN l.starts IS NOT NULL THEN (
                SELECT count(*) FROM (
                    SELECT FROM queue.job j WHERE j.queue = l.queue AND j.key = l.key AND j.state = 2
                      AND (j.priority > l.priority OR (j.priority = l.priority AND j.arrival < l.arrival))
                    ORDER BY j.priority DESC, j.arrival LIMIT greatest(l.starts, 0)
                ) ahead
            ) END AS starts_left
        FROM limited l
    ), fitting AS MATERIALIZED (
        SELECT t.* FROM throttled t
        WHERE coalesce(t.place <= t.starts_left, true) AND coalesce(t.place <= t.job_limit - t.leased, true)
          AND (t.job_limit IS NULL OR NOT counted OR t.place <= t.job_limit - t.leased - (
              SELECT count(*) FROM (
                  SELECT FROM queue.job j
                  WHERE j.queue = t.queue AND j.key = t.key AND j.state = 2 AND j.priority >= t.priority
                    AND (j.priority > t.priority OR j.arrival < t.arrival)
                  ORDER BY j.priority DESC, j.arrival LIMIT t.job_limit
              ) ahead
          ))
    ), lanes AS (
        -- Looked up for the first of each lane alone, and the same for all of it: the ready job before it, and the last one.
        SELECT n.*, max(CASE WHEN n.nth = 1 THEN (
                SELECT j.pass FROM queue.job j
                WHERE j.queue = n.queue AND j.key = n.key AND j.state = 2 AND j.priority = n.priority
                  AND j.arrival < n.arrival
                ORDER BY j.priority, j.arrival DESC LIMIT 1
            ) END) OVER lane AS pass_before, max(CASE WHEN n.nth = 1 THEN (
                SELECT j.arrival FROM queue.job j
                WHERE j.queue = n.queue AND j.key = n.key AND j.state = 2 AND j.priority = n.priority
                ORDER BY j.priority, j.arrival DESC LIMIT 1
            ) END) OVER lane AS last_arrival
        FROM (
            SELECT f.*, row_number() OVER lane AS nth, sum(1000000 / f.weight) OVER lane AS distance
            FROM fitting f WINDOW lane AS (PARTITION BY f.queue, f.key, f.priority ORDER BY f.arrival)
        ) n
        WINDOW lane AS (PARTITION BY n.queue, n.key, n.priority)
    ), placed AS (
        SELECT f.at, f.queue, f.arrival, least(
            greatest(
                (SELECT t.v FROM queue.turn t WHERE t.queue = f.queue AND t.priority = f.priority), f.pass_before, 0
            ) + f.distance,
            CASE WHEN f.last_arrival > f.arrival THEN (
                SELECT j.pass FROM queue.job j
                WHERE j.queue = f.queue AND j.key = f.key AND j.state = 2 AND j.priority = f.priority
                  AND j.arrival > f.arrival
                ORDER BY j.priority DESC, j.arrival LIMIT 1
            ) END
        ) AS pass
        FROM lanes f
    )
    SELECT array_agg(p.at), array_agg(p.queue), array_agg(p.pass), array_agg(p.arrival),
           (SELECT array_agg(t.queue) FROM throttled t WHERE t.place > t.starts_left),
           (SELECT array_agg(t.key) FROM throttled t WHERE t.place > t.starts_left),
           (SELECT array_agg(t.class) FROM throttled t WHERE t.place > t.starts_left)
    INTO tids, queues, passes, arrivals, throttled_queues, throttled_keys, throttled_classes FROM placed p;
    IF throttled_queues IS NOT NULL THEN
        PERFORM queue.watch(u.queue, array_agg(u.key), array_agg(u.class), now_ms)
        FROM unnest(throttled_queues, throttled_keys, throttled_classes) u(queue, key, class) GROUP BY u.queue;
    END IF;
    IF tids IS NULL THEN
        RETURN 0;
    END IF;
    PERFORM queue.place(tids, passes, arrivals, now_ms);
    UPDATE queue.queue q SET unparked_at = now_ms WHERE q.id = ANY (of_queues) AND q.unparked_at < now_ms - 10000;
    PERFORM queue.count_moves(queues, array_fill(3::smallint, ARRAY[cardinality(tids)]),
                              array_fill(2::smallint, ARRAY[cardinality(tids)]));
    RETURN cardinality(tids);
END $$;

-- Gives the room that ended leases have left to the parked jobs of their keys, so many of each, and to those that have waited
-- for an older version to end; whether any became ready.
--
-- A claim may count a lease that ends meanwhile, and park a job of its key that nobody would then wake. So both sides look
-- once more after they have committed: the settlement for parked jobs, here, and a claim that has parked for room, in
-- queue.refill. One of the two looks after both have committed.
CREATE FUNCTION queue.fill(
    of_queues integer[], of_keys text[], freed integer[], version_queues integer[], versions text[], max_wait_ms bigint
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    -- A variable, since with a constant the planner may take an index of that state alone and walk it.
    is_parked CONSTANT smallint := 3;
    now_ms bigint; queues integer[]; keys text[]; most integer[]; newer_queues integer[]; newer_keys text[];
    woke boolean := false;
BEGIN
    now_ms := queue.enter('{}');
    IF cardinality(version_queues) > 0 THEN
        SELECT array_agg(j.queue), array_agg(j.key) INTO newer_queues, newer_keys
        FROM unnest(version_queues, versions) v(queue, key)
        CROSS JOIN LATERAL (
            SELECT w.queue, w.key FROM queue.job w
            WHERE w.queue = v.queue AND w.supersede_key = v.key AND w.state = is_parked OFFSET 0
        ) j;
        IF newer_queues IS NOT NULL THEN
            woke := queue.refill(newer_queues, newer_keys, 10);
        END IF;
    END IF;
    -- What waits too long is looked for once a queue, and seldom found.
    SELECT array_agg(f.queue), array_agg(f.key), array_agg(f.freed) INTO queues, keys, most
    FROM unnest(of_queues, of_keys, freed) f(queue, key, freed)
    WHERE (SELECT true FROM queue.job j WHERE j.queue = f.queue AND j.key = f.key AND j.state = 3 LIMIT 1);
    PERFORM queue.forgive(q, of_queues, of_keys, freed, now_ms, max_wait_ms)
    FROM (SELECT DISTINCT q FROM unnest(of_queues) q) d WHERE (
        SELECT true FROM queue.job j WHERE j.state = 2 AND j.queue = d.q AND j.ready_at <= now_ms - max_wait_ms
        ORDER BY j.ready_at LIMIT 1
    );
    IF queues IS NULL THEN
        RETURN woke;
    END IF;
    now_ms := queue.enter(queues);
    -- A released job keeps the room that it had, unless a parked one of higher priority is due before it.
    IF 0 = ANY (most) THEN
        SELECT queue.unpark(array_agg(u.queue), array_agg(u.key), array_agg(1), true, now_ms) > 0 OR woke INTO woke
        FROM unnest(queues, keys, most) u(queue, key, jobs) WHERE u.jobs = 0;
    END IF;
    RETURN queue.unpark(queues, keys, most, false, now_ms) > 0 OR woke;
END $$;

-- The time that a key was full does not count as waiting: the next jobs of keys that have just ceased to be full wait from now.
CREATE FUNCTION queue.forgive(
    of_queue integer, of_queues integer[], of_keys text[], freed integer[], now_ms bigint, max_wait_ms bigint
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM queue.enter(ARRAY[of_queue]);
    UPDATE queue.job j SET ready_at = now_ms
    FROM unnest(of_queues, of_keys, freed) f(queue, key, freed)
    CROSS JOIN LATERAL (
        SELECT w.ctid AS at, w.class, w.ready_at FROM queue.job w
        WHERE w.queue = f.queue AND w.key = f.key AND w.state = 2 ORDER BY w.priority DESC, w.arrival LIMIT f.freed
    ) n
    WHERE f.queue = of_queue AND j.ctid = n.at AND n.ready_at <= now_ms - max_wait_ms
      AND f.freed + (SELECT count(*) FROM queue.job l WHERE l.queue = f.queue AND l.key = f.key AND l.state = 1) >= coalesce(
          (SELECT CASE WHEN o.paused THEN 0 ELSE o.job_limit END FROM queue.key_override o
           WHERE o.queue = f.queue AND o.key = f.key),
          (SELECT c.job_limit FROM queue.limit_class c WHERE c.queue = f.queue AND c.class = n.class)
      );
END $$;

-- Gives parked jobs of keys the room that there is: see queue.fill.
CREATE FUNCTION queue.refill(of_queues integer[], of_keys text[], most integer) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    now_ms bigint := queue.enter(of_queues); queues integer[]; keys text[];
BEGIN
    SELECT array_agg(d.queue), array_agg(d.key) INTO queues, keys
    FROM (SELECT DISTINCT u.queue, u.key FROM unnest(of_queues, of_keys) u(queue, key)) d;
    RETURN queue.unpark(queues, keys, array_fill(most, ARRAY[cardinality(keys)]), true, now_ms) > 0;
END $$;

-- So many leases under these tokens have ended, one for each time that a token is named.
CREATE FUNCTION queue.let_go(tokens uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    WITH ended AS MATERIALIZED (
        SELECT u.token, count(*)::integer AS jobs FROM unnest(tokens) u(token) GROUP BY u.token ORDER BY u.token
    ), left_over AS (
        UPDATE queue.claimed c SET held = c.held - e.jobs FROM ended e WHERE c.token = e.token AND c.held > e.jobs
    )
    DELETE FROM queue.claimed c USING ended e WHERE c.token = e.token AND c.held <= e.jobs;
END $$;

-- Ends waits and leases otherwise than completed: into the history, or back among the waiting ones, where a released job keeps
-- its turn. The caller has locked the rows. Room is given to nobody by it.
CREATE FUNCTION queue.finish(rows queue.ending[], now_ms bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    WITH gone AS (
        DELETE FROM queue.job j USING unnest(rows) u WHERE u.state >= 4 AND j.id = u.id
        RETURNING j.*, u.state AS ends_as, u.reason, u.attempt AS attempts, u.crashes AS all_crashes
    ), kept AS (
        INSERT INTO queue.history (
            id, created_at, finished_at, timeout_ms, attempt, max_attempts, crashes, queue, state, priority, weight,
            reason, unique_ms, leased_at, settled, kind, key, class, unique_key,
            supersede_key, version_at, version_id, trace_parent, payload
        )
        SELECT g.id, g.created_at, now_ms, g.timeout_ms, g.attempts, g.max_attempts, g.all_crashes, g.queue, g.ends_as,
               g.priority, g.weight, g.reason, g.unique_ms, g.leased_at, coalesce(g.token, g.settled), g.kind, g.key, g.class,
               g.unique_key, g.supersede_key, g.version_at, g.version_id, g.trace_parent, g.payload
        FROM gone g
    )
    -- A dead job keeps its checkpoints: it may be replayed.
    DELETE FROM queue.checkpoint c USING gone g WHERE g.has_steps AND g.ends_as <> 5 AND c.job = g.id;
    UPDATE queue.job j
    SET state = u.state, run_at = u.run_at, ready_at = CASE WHEN u.state = 2 THEN now_ms END, settled = j.token,
        token = NULL, worker = NULL, expires_at = NULL, cancel = NULL, attempt = u.attempt,
        crashes = u.crashes
    FROM unnest(rows) u
    WHERE u.state < 4 AND j.id = u.id;
    DELETE FROM queue.unique_key k USING unnest(rows) u
    WHERE u.state IN (5, 6) AND k.queue = u.queue AND k.key = u.unique_key AND k.job = u.id;
    PERFORM queue.count_moves(array_agg(u.queue), array_agg(u.was), array_agg(u.state)) FROM unnest(rows) u;
END $$;

-- Ends what waits of a supersede key, but for its newest job, and asks what runs of it to stop.
CREATE FUNCTION queue.supersede(of_queue integer, of_key text, newest uuid, now_ms bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    -- That of cancellations.
    superseded CONSTANT smallint := 2;
    older queue.job;
BEGIN
    FOR older IN
        SELECT j.* FROM queue.job j WHERE j.queue = of_queue AND j.supersede_key = of_key AND j.id <> newest
        ORDER BY j.supersede_key, j.state FOR UPDATE
    LOOP
        IF older.state = 1 THEN
            UPDATE queue.job j SET cancel = coalesce(j.cancel, superseded) WHERE j.id = older.id;
            CONTINUE;
        END IF;
        PERFORM queue.finish(ARRAY[ROW(
            older.id, older.queue, older.key, older.state, 6, superseded, NULL, older.attempt, older.crashes,
            older.unique_key, older.unique_ms
        )::queue.ending], now_ms);
        -- A ready job held room that the next of its key gets.
        PERFORM queue.unpark(ARRAY[older.queue], ARRAY[older.key], ARRAY[1], true, now_ms) WHERE older.key <> '';
    END LOOP;
END $$;

-- Notes of the keys of throttled classes that have parked jobs when the first start of their period leaves it, and the key is
-- to be looked at again. Without such a start there is nothing to wait for: the next start notes the key.
CREATE FUNCTION queue.watch(of_queue integer, keys text[], classes text[], now_ms bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO queue.throttled AS t (queue, key, until)
    SELECT of_queue, w.key, min(w.until)
    FROM (
        SELECT d.key, (
            SELECT min(s.at) + c.throttle_ms FROM queue.throttle_start s
            WHERE s.queue = of_queue AND s.class = d.class AND s.key = d.key AND s.at > now_ms - c.throttle_ms
        ) AS until
        FROM (SELECT DISTINCT u.key, u.class FROM unnest(keys, classes) u(key, class)) d
        JOIN queue.limit_class c ON c.queue = of_queue AND c.class = d.class AND c.throttle_starts IS NOT NULL
        WHERE (SELECT true FROM queue.job j WHERE j.queue = of_queue AND j.key = d.key AND j.state = 3
               ORDER BY j.priority DESC, j.arrival LIMIT 1)
    ) w
    WHERE w.until IS NOT NULL GROUP BY w.key ORDER BY w.key
    ON CONFLICT (queue, key) DO UPDATE SET until = least(t.until, excluded.until);
END $$;

-- Looks at keys again whose throttles have a start for them since, at so many keys and jobs at most. How many parked jobs became
-- ready. Until it has, no job of such a key starts, so that none starts before those that have waited longer.
CREATE FUNCTION queue.end_throttles(of_queue integer, keys_max integer, most integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    now_ms bigint := queue.enter('{}'); keys text[]; classes text[]; per_key integer; freed bigint;
BEGIN
    -- Whether there is anything to do is asked without a lock.
    IF most <= 0 OR coalesce((
        SELECT t.until FROM queue.throttled t WHERE t.queue = of_queue ORDER BY t.until LIMIT 1
    ), now_ms + 1) > now_ms THEN
        RETURN 0;
    END IF;
    now_ms := queue.enter(ARRAY[of_queue]);
    WITH ended AS (
        DELETE FROM queue.throttled t WHERE t.ctid = ANY (ARRAY(
            SELECT e.ctid FROM queue.throttled e WHERE e.queue = of_queue AND e.until <= now_ms
            ORDER BY e.until LIMIT least(keys_max, most)
        ))
        RETURNING t.key
    )
    SELECT array_agg(e.key) INTO keys FROM ended e;
    IF keys IS NULL THEN
        RETURN 0;
    END IF;
    per_key := greatest(most / cardinality(keys), 1);
    freed := queue.unpark(array_fill(of_queue, ARRAY[cardinality(keys)]), keys, array_fill(per_key, ARRAY[cardinality(keys)]),
                          true, now_ms);
    classes := ARRAY(
        SELECT (SELECT j.class FROM queue.job j WHERE j.queue = of_queue AND j.key = u.key AND j.state = 3
                ORDER BY j.priority DESC, j.arrival LIMIT 1)
        FROM unnest(keys) WITH ORDINALITY u(key, nth) ORDER BY u.nth
    );
    PERFORM queue.watch(of_queue, keys, classes, now_ms);
    IF freed >= per_key THEN
        -- Of some more may have room: they are looked at again at once.
        INSERT INTO queue.throttled AS t (queue, key, until)
        SELECT of_queue, u.key, now_ms FROM unnest(keys, classes) u(key, class)
        WHERE u.class IS NOT NULL AND queue.starts_left(of_queue, u.class, u.key, now_ms) > 0 ORDER BY u.key
        ON CONFLICT (queue, key) DO UPDATE SET until = excluded.until;
    END IF;
    RETURN freed;
END $$;

-- How many jobs of a key its throttle lets start at this time, beside those that are ready; NULL without a throttle.
CREATE FUNCTION queue.starts_left(of_queue integer, of_class text, of_key text, now_ms bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
BEGIN
    RETURN (
        SELECT c.throttle_starts - coalesce((
            SELECT sum(s.n) FROM queue.throttle_start s
            WHERE s.queue = of_queue AND s.class = of_class AND s.key = of_key AND s.at > now_ms - c.throttle_ms
        ), 0) - (
            SELECT count(*) FROM (
                SELECT FROM queue.job j WHERE j.queue = of_queue AND j.key = of_key AND j.state = 2
                ORDER BY j.priority DESC, j.arrival LIMIT c.throttle_starts
            ) ready
        )
        FROM queue.limit_class c
        WHERE c.queue = of_queue AND c.class = of_class AND c.throttle_starts IS NOT NULL
    );
END $$;
