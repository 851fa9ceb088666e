-- Who is ready, who is parked, and with which turn: the functions that all operations share.
--
-- All that decides about starts runs in one function call under the lock of its queue, so that what it reads stays true
-- until it commits. Each statement of a function sees what was committed before it: the lock is taken by an earlier one.

CREATE FUNCTION queue.queue_now() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT coalesce(c.stands_at_ms, (extract(epoch FROM clock_timestamp()) * 1000)::bigint) + c.offset_ms
    FROM queue.clock c
$$;

-- Locks queues, in one order for all callers, and answers the time. What follows in the transaction:
--  * commits without waiting for the disk, so that the lock is short; the caller waits for it afterwards (queue.flush);
--  * has plans that do not depend on statistics: no table of jobs is ever walked, and a statement is planned once;
--  * ends when its client does not, should it run in a transaction of several statements.
CREATE FUNCTION queue.enter(queues integer[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    one integer;
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true), set_config('lock_timeout', '5s', true),
            set_config('idle_in_transaction_session_timeout', '5s', true),
            set_config('plan_cache_mode', 'force_generic_plan', true), set_config('jit', 'off', true),
            set_config('enable_seqscan', 'off', true), set_config('enable_mergejoin', 'off', true);
    FOR one IN SELECT DISTINCT u FROM unnest(queues) u WHERE u IS NOT NULL ORDER BY u LOOP
        -- "rfq1" keeps these locks apart from those of other programs in the same database.
        PERFORM pg_advisory_xact_lock(1919316273, one);
    END LOOP;
    RETURN queue.queue_now();
END $$;

-- Puts on disk all that was committed before the call, with what the server's settings ask for beyond it.
CREATE FUNCTION queue.flush() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    -- A commit that has written nothing would wait for nothing.
    PERFORM pg_logical_emit_message(true, 'reviewfleet', '');
END $$;

-- Counts moves of jobs from state to state; NULL where a job comes from or goes to nowhere. Dead letters are counted too.
CREATE FUNCTION queue.count_moves(queues integer[], froms smallint[], tos smallint[]) RETURNS void
LANGUAGE sql VOLATILE SET enable_hashjoin = off AS $$
    UPDATE queue.depth d SET
        scheduled = d.scheduled + m.scheduled,
        ready     = d.ready + m.ready,
        parked    = d.parked + m.parked,
        leased    = d.leased + m.leased,
        dead      = d.dead + m.dead
    FROM (
        SELECT u.queue,
               count(*) FILTER (WHERE u.t = 0) - count(*) FILTER (WHERE u.f = 0) AS scheduled,
               count(*) FILTER (WHERE u.t = 2) - count(*) FILTER (WHERE u.f = 2) AS ready,
               count(*) FILTER (WHERE u.t = 3) - count(*) FILTER (WHERE u.f = 3) AS parked,
               count(*) FILTER (WHERE u.t = 1) - count(*) FILTER (WHERE u.f = 1) AS leased,
               count(*) FILTER (WHERE u.t = 5) - count(*) FILTER (WHERE u.f = 5) AS dead
        FROM unnest(queues, froms, tos) u(queue, f, t) GROUP BY u.queue
    ) m
    WHERE d.queue = m.queue
$$;

-- Decides for jobs that come behind all others of their lanes, in the order given.
--
-- A job becomes ready when the leased jobs of its key and the ready ones that start before it leave room under the limit,
-- and is parked otherwise: "ready" means "may start", and claims hardly ever meet a job of a full key.
--
-- Turns are given by stride: pass = max(V, last ready pass of the lane) + stride / weight, where V is the greatest pass
-- leased so far at that priority. A key that comes anew starts next to V, and one with a long backlog has spread its jobs
-- out, so that the keys alternate along the index. 1,000,000 divides well by the weights, which reach to 1,000.
CREATE FUNCTION queue.admit(queues integer[], keys text[], classes text[], priorities smallint[], weights smallint[])
RETURNS TABLE (nth bigint, state smallint, pass bigint)
LANGUAGE plpgsql STABLE SET enable_nestloop = off AS $$
DECLARE
    -- Variables, since with a constant the planner may take an index of that state alone and walk it for one key.
    is_ready CONSTANT smallint := 2; is_leased CONSTANT smallint := 1;
BEGIN
    RETURN QUERY
    WITH asked AS MATERIALIZED (
        SELECT u.* FROM unnest(queues, keys, classes, priorities, weights)
            WITH ORDINALITY u(queue, key, class, priority, weight, nth)
    ), lane AS MATERIALIZED (
        SELECT d.*, CASE WHEN d.key = '' THEN NULL ELSE coalesce(
                (SELECT CASE WHEN o.paused THEN 0 ELSE o.job_limit END FROM queue.key_override o
                 WHERE o.queue = d.queue AND o.key = d.key),
                (SELECT c.job_limit FROM queue.limit_class c WHERE c.queue = d.queue AND c.class = d.class)
            ) END AS job_limit
        FROM (SELECT DISTINCT a.queue, a.key, a.class, a.priority FROM asked a) d
    ), known AS MATERIALIZED (
        SELECT l.*,
            CASE WHEN l.job_limit IS NULL THEN 0 ELSE (
                SELECT count(*) FROM queue.job j WHERE j.queue = l.queue AND j.key = l.key AND j.state = is_leased
            ) + (
                SELECT count(*) FROM queue.job j
                WHERE j.queue = l.queue AND j.key = l.key AND j.state = is_ready AND j.priority >= l.priority
            ) END AS ahead,
            greatest(
                (SELECT t.v FROM queue.turn t WHERE t.queue = l.queue AND t.priority = l.priority),
                (SELECT j.pass FROM queue.job j
                 WHERE j.queue = l.queue AND j.key = l.key AND j.state = is_ready AND j.priority = l.priority
                 ORDER BY j.arrival DESC LIMIT 1),
                0
            ) AS last_pass
        FROM lane l
    ), judged AS (
        SELECT a.*, k.last_pass, k.job_limit IS NULL OR k.ahead + row_number() OVER (
                PARTITION BY a.queue, a.key, a.class ORDER BY a.priority DESC, a.nth
            ) <= k.job_limit AS fits
        FROM asked a JOIN known k USING (queue, key, class, priority)
    )
    SELECT j.nth, CASE WHEN j.fits THEN 2 ELSE 3 END::smallint,
           CASE WHEN j.fits THEN j.last_pass + sum(1000000 / j.weight) OVER (
               PARTITION BY j.queue, j.key, j.priority ORDER BY j.nth
           ) ELSE 0 END
    FROM judged j;
END $$;

-- Waiting jobs become ready or parked. An arrival of NULL keeps the one that a job has.
CREATE FUNCTION queue.place(ids uuid[], states smallint[], passes bigint[], arrivals bigint[], now_ms bigint) RETURNS void
LANGUAGE plpgsql SET enable_hashjoin = off AS $$
BEGIN
    UPDATE queue.job j
    SET state = u.state, pass = u.pass, arrival = coalesce(u.arrival, j.arrival), run_at = NULL, ready_at = now_ms
    FROM unnest(ids, states, passes, arrivals) u(id, state, pass, arrival)
    WHERE j.id = u.id;
END $$;

-- Places scheduled jobs, in the order given, behind all that their keys have waiting; whether any became ready.
CREATE FUNCTION queue.place_due(ids uuid[], now_ms bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    queues integer[]; keys text[]; classes text[]; priorities smallint[]; weights smallint[];
    states smallint[]; passes bigint[]; arrivals bigint[];
BEGIN
    SELECT array_agg(j.queue ORDER BY u.nth), array_agg(j.key ORDER BY u.nth), array_agg(j.class ORDER BY u.nth),
           array_agg(j.priority ORDER BY u.nth), array_agg(j.weight ORDER BY u.nth)
    INTO queues, keys, classes, priorities, weights
    FROM unnest(ids) WITH ORDINALITY u(id, nth)
    CROSS JOIN LATERAL (
        SELECT w.queue, w.key, w.class, w.priority, w.weight FROM queue.job w WHERE w.id = u.id OFFSET 0
    ) j;
    IF queues IS NULL THEN
        RETURN false;
    END IF;
    SELECT array_agg(a.state ORDER BY a.nth), array_agg(a.pass ORDER BY a.nth)
    INTO states, passes FROM queue.admit(queues, keys, classes, priorities, weights) a;
    SELECT array_agg(nextval('queue.arrival') ORDER BY n) INTO arrivals FROM generate_series(1, cardinality(ids)) n;
    PERFORM queue.place(ids, states, passes, arrivals, now_ms);
    PERFORM queue.count_moves(queues, array_fill(0::smallint, ARRAY[cardinality(ids)]), states);
    RETURN 2 = ANY (states);
END $$;

-- Gives the room of keys to their best parked jobs, looking at so many of each; how many became ready. A job that becomes
-- ready before a later one of its lane, because its limit was lowered meanwhile, is given that one's pass at most, so that
-- the passes of a lane rise with the arrivals.
CREATE FUNCTION queue.unpark(queues integer[], keys text[], most integer[], now_ms bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    -- Variables, since with a constant the planner may take an index of that state alone and walk it for one key.
    is_ready CONSTANT smallint := 2; is_leased CONSTANT smallint := 1; is_parked CONSTANT smallint := 3;
    ids uuid[]; passes bigint[]; of_queues integer[];
BEGIN
    WITH best AS MATERIALIZED (
        SELECT f.queue, f.key, p.*, row_number() OVER (
                PARTITION BY f.queue, f.key, p.class ORDER BY p.priority DESC, p.arrival
            ) AS place
        FROM unnest(queues, keys, most) f(queue, key, most)
        CROSS JOIN LATERAL (
            SELECT j.id, j.class, j.priority, j.weight, j.arrival FROM queue.job j
            WHERE j.queue = f.queue AND j.key = f.key AND j.state = is_parked
            ORDER BY j.priority DESC, j.arrival LIMIT f.most
        ) p
    ), limited AS MATERIALIZED (
        SELECT b.*, coalesce(
                (SELECT CASE WHEN o.paused THEN 0 ELSE o.job_limit END FROM queue.key_override o
                 WHERE o.queue = b.queue AND o.key = b.key),
                (SELECT c.job_limit FROM queue.limit_class c WHERE c.queue = b.queue AND c.class = b.class)
            ) AS job_limit
        FROM best b
    ), fitting AS MATERIALIZED (
        SELECT l.* FROM limited l
        WHERE l.job_limit IS NULL OR l.place <= l.job_limit - (
            SELECT count(*) FROM queue.job j WHERE j.queue = l.queue AND j.key = l.key AND j.state = is_leased
        ) - (
            SELECT count(*) FROM queue.job j
            WHERE j.queue = l.queue AND j.key = l.key AND j.state = is_ready AND j.priority > l.priority
        ) - (
            SELECT count(*) FROM queue.job j
            WHERE j.queue = l.queue AND j.key = l.key AND j.state = is_ready AND j.priority = l.priority
              AND j.arrival < l.arrival
        )
    ), turns AS (
        SELECT f.id, f.queue, coalesce(
            (SELECT j.pass FROM queue.job j
             WHERE j.queue = f.queue AND j.key = f.key AND j.state = is_ready AND j.priority = f.priority
               AND j.arrival > f.arrival
             ORDER BY j.arrival LIMIT 1),
            greatest(
                (SELECT t.v FROM queue.turn t WHERE t.queue = f.queue AND t.priority = f.priority),
                (SELECT j.pass FROM queue.job j
                 WHERE j.queue = f.queue AND j.key = f.key AND j.state = is_ready AND j.priority = f.priority
                 ORDER BY j.arrival DESC LIMIT 1),
                0
            ) + sum(1000000 / f.weight) OVER (PARTITION BY f.queue, f.key, f.priority ORDER BY f.arrival)
        ) AS pass
        FROM fitting f
    )
    SELECT array_agg(t.id), array_agg(t.pass), array_agg(t.queue) INTO ids, passes, of_queues FROM turns t;
    IF ids IS NULL THEN
        RETURN 0;
    END IF;
    PERFORM queue.place(ids, array_fill(2::smallint, ARRAY[cardinality(ids)]), passes,
                        array_fill(NULL::bigint, ARRAY[cardinality(ids)]), now_ms);
    PERFORM queue.count_moves(of_queues, array_fill(3::smallint, ARRAY[cardinality(ids)]),
                              array_fill(2::smallint, ARRAY[cardinality(ids)]));
    RETURN cardinality(ids);
END $$;

CREATE FUNCTION queue.end_unique(rows queue.ending[], now_ms bigint) RETURNS void
LANGUAGE plpgsql SET enable_hashjoin = off AS $$
BEGIN
    -- Of completed jobs the key stays taken until its window ends; dead and cancelled ones free it at once.
    UPDATE queue.unique_key k SET until = now_ms + u.unique_ms
    FROM unnest(rows) u
    WHERE u.state = 4 AND k.queue = u.queue AND k.key = u.unique_key AND k.job = u.id;
    DELETE FROM queue.unique_key k USING unnest(rows) u
    WHERE u.state IN (5, 6) AND k.queue = u.queue AND k.key = u.unique_key AND k.job = u.id;
END $$;

CREATE FUNCTION queue.give_back(rows queue.ending[], now_ms bigint) RETURNS void
LANGUAGE plpgsql SET enable_hashjoin = off AS $$
BEGIN
    UPDATE queue.job j
    SET state = u.state, run_at = u.run_at, ready_at = CASE WHEN u.state = 2 THEN now_ms END, settled = j.token,
        token = NULL, worker = NULL, leased_at = NULL, expires_at = NULL, cancel = NULL, attempt = u.attempt,
        crashes = u.crashes
    FROM unnest(rows) u
    WHERE u.state < 4 AND j.id = u.id;
END $$;

-- Ends waits and leases: into the history, or back among the waiting ones, where a released job keeps its turn. Room is
-- given to nobody by it.
CREATE FUNCTION queue.finish(rows queue.ending[], now_ms bigint) RETURNS void
LANGUAGE plpgsql SET enable_nestloop = off AS $$
DECLARE
    finals uuid[]; done uuid[]; back boolean; with_unique boolean;
BEGIN
    SELECT array_agg(u.id) FILTER (WHERE u.state >= 4), array_agg(u.id) FILTER (WHERE u.state IN (4, 6)),
           bool_or(u.state < 4), bool_or(u.unique_key IS NOT NULL AND u.state >= 4)
    INTO finals, done, back, with_unique FROM unnest(rows) u;
    IF finals IS NOT NULL THEN
        WITH gone AS (DELETE FROM queue.job j WHERE j.id = ANY (finals) RETURNING j.*)
        INSERT INTO queue.history (
            id, created_at, finished_at, timeout_ms, attempt, max_attempts, crashes, queue, state, priority, weight,
            reason, unique_ms, settled, kind, key, class, unique_key, trace_parent, payload
        )
        SELECT g.id, g.created_at, now_ms, g.timeout_ms, u.attempt, g.max_attempts, u.crashes, g.queue, u.state,
               g.priority, g.weight, u.reason, g.unique_ms, coalesce(g.token, g.settled), g.kind, g.key, g.class,
               g.unique_key, g.trace_parent, g.payload
        FROM gone g JOIN unnest(rows) u ON u.id = g.id;
    END IF;
    IF done IS NOT NULL THEN
        DELETE FROM queue.checkpoint c WHERE c.job = ANY (done);
    END IF;
    IF back THEN
        PERFORM queue.give_back(rows, now_ms);
    END IF;
    IF with_unique THEN
        PERFORM queue.end_unique(rows, now_ms);
    END IF;
    PERFORM queue.count_moves(array_agg(u.queue), array_agg(u.was), array_agg(u.state)) FROM unnest(rows) u;
END $$;
