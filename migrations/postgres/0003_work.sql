-- The life of a job: enqueue, claim, renew, settle, checkpoint and reap, each in one call.

-- Stores jobs of all callers that joined. Answers for each in order: 0 stored, 1 there already (by whom), 2 unknown queue,
-- 3 unknown limit class, 4 too far away.
CREATE FUNCTION queue.enqueue(
    ids uuid[], names text[], kinds text[], priorities smallint[], weights smallint[], keys text[], classes text[],
    run_ats bigint[], maxima bigint[], timeouts_ms bigint[], unique_keys text[], uniques_ms bigint[], payloads text[],
    trace_parents text[], run_at_max_ms bigint,
    OUT answers smallint[], OUT holders uuid[], OUT woke boolean
) LANGUAGE plpgsql SET enable_nestloop = off AS $$
DECLARE
    now_ms bigint;
BEGIN
    now_ms := queue.enter(ARRAY(SELECT q.id FROM queue.queue q WHERE q.name = ANY (names)));
    WITH input AS MATERIALIZED (
        SELECT u.* FROM unnest(
            ids, names, kinds, priorities, weights, keys, classes, run_ats, maxima, timeouts_ms, unique_keys,
            uniques_ms, payloads, trace_parents
        ) WITH ORDINALITY u(
            id, name, kind, priority, weight, key, class, run_at, max_attempts, timeout_ms, unique_key, unique_ms,
            payload, trace_parent, nth
        )
    ), checked AS MATERIALIZED (
        SELECT i.nth, i.id, i.unique_key, q.id AS queue, CASE
                WHEN q.id IS NULL THEN 2
                WHEN i.class <> '' AND NOT EXISTS (
                    SELECT FROM queue.limit_class c WHERE c.queue = q.id AND c.class = i.class OFFSET 0
                ) THEN 3
                WHEN i.run_at > now_ms + run_at_max_ms THEN 4
                ELSE 0
            END AS refused
        FROM input i LEFT JOIN queue.queue q ON q.name = i.name
    ), fresh AS MATERIALIZED (
        SELECT c.*, row_number() OVER (PARTITION BY c.id ORDER BY c.nth) > 1
            OR (SELECT true FROM queue.job j WHERE j.id = c.id LIMIT 1) IS NOT NULL
            OR (SELECT true FROM queue.history h WHERE h.id = c.id LIMIT 1) IS NOT NULL AS known
        FROM checked c WHERE c.refused = 0
    ), held AS MATERIALIZED (
        SELECT f.nth, f.queue, CASE WHEN f.unique_key IS NOT NULL THEN coalesce(
                (SELECT k.job FROM queue.unique_key k
                 WHERE k.queue = f.queue AND k.key = f.unique_key AND (k.until IS NULL OR k.until > now_ms)),
                -- Of those that come together the first takes the key.
                nullif(first_value(f.id) OVER (PARTITION BY f.queue, f.unique_key ORDER BY f.nth), f.id)
            ) END AS holder
        FROM fresh f WHERE NOT f.known
    ), accepted AS MATERIALIZED (
        SELECT i.*, h.queue, coalesce(i.run_at > now_ms, false) AS waits,
               count(*) FILTER (WHERE coalesce(i.run_at <= now_ms, true)) OVER (ORDER BY i.nth) AS place
        FROM held h JOIN input i USING (nth) WHERE h.holder IS NULL
    ), admitted AS MATERIALIZED (
        SELECT a.* FROM (
            SELECT array_agg(s.queue ORDER BY s.nth) AS queues, array_agg(s.key ORDER BY s.nth) AS keys,
                   array_agg(s.class ORDER BY s.nth) AS classes, array_agg(s.priority ORDER BY s.nth) AS priorities,
                   array_agg(s.weight ORDER BY s.nth) AS weights
            FROM accepted s WHERE NOT s.waits
        ) s CROSS JOIN LATERAL queue.admit(s.queues, s.keys, s.classes, s.priorities, s.weights) a
    ), stored AS (
        INSERT INTO queue.job (
            id, pass, arrival, created_at, timeout_ms, attempt, max_attempts, crashes, queue, state, priority, weight,
            run_at, ready_at, unique_ms, kind, key, class, unique_key, trace_parent, payload
        )
        SELECT s.id, s.pass, nextval('queue.arrival'), now_ms, s.timeout_ms, 1, s.max_attempts, 0, s.queue, s.state,
               s.priority, s.weight, CASE WHEN s.waits THEN s.run_at END, CASE WHEN s.state = 2 THEN now_ms END,
               s.unique_ms, s.kind, s.key, s.class, s.unique_key, s.trace_parent, s.payload
        FROM (
            SELECT s.*, CASE WHEN s.waits THEN 0 ELSE a.state END AS state, CASE WHEN s.waits THEN 0 ELSE a.pass END AS pass
            FROM accepted s LEFT JOIN admitted a ON a.nth = s.place AND NOT s.waits ORDER BY s.nth
        ) s
        RETURNING queue, state
    ), taken AS (
        INSERT INTO queue.unique_key (queue, key, job)
        SELECT s.queue, s.unique_key, s.id FROM accepted s WHERE s.unique_key IS NOT NULL ORDER BY s.unique_key
        ON CONFLICT (queue, key) DO UPDATE SET job = excluded.job, until = NULL
    ), counted AS MATERIALIZED (
        SELECT bool_or(s.state = 2) AS woke,
               queue.count_moves(array_agg(s.queue), array_agg(NULL::smallint), array_agg(s.state))
        FROM stored s
    )
    SELECT array_agg(CASE
               WHEN c.refused > 0 THEN c.refused
               WHEN h.nth IS NULL OR h.holder IS NOT NULL THEN 1
               ELSE 0
           END::smallint ORDER BY c.nth),
           array_agg(coalesce(h.holder, c.id) ORDER BY c.nth),
           coalesce((SELECT t.woke FROM counted t), false)
    INTO answers, holders, woke
    FROM checked c LEFT JOIN held h USING (nth);
END $$;

CREATE FUNCTION queue.lease(
    of_queue integer, ids uuid[], with_token uuid, to_worker text, now_ms bigint, until_ms bigint
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- V rises with what is leased, and never falls.
    WITH leased AS (
        UPDATE queue.job j
        SET state = 1, token = with_token, worker = to_worker, leased_at = now_ms, expires_at = until_ms
        WHERE j.id = ANY (ids)
        RETURNING j.priority, j.pass
    )
    INSERT INTO queue.turn AS t (queue, priority, v)
    SELECT of_queue, l.priority, max(l.pass) FROM leased l GROUP BY l.priority
    ON CONFLICT (queue, priority) DO UPDATE SET v = greatest(t.v, excluded.v);
    UPDATE queue.queue q SET starts = q.starts + cardinality(ids) WHERE q.id = of_queue;
    UPDATE queue.depth d SET ready = d.ready - cardinality(ids), leased = d.leased + cardinality(ids)
    WHERE d.queue = of_queue;
END $$;

-- Of the ready jobs that are the first of their key and wait since then or longer, those that may start.
CREATE FUNCTION queue.starved(of_queue integer, since_ms bigint, most bigint) RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE
    -- Variables, since with a constant the planner may take an index of that state alone and walk it for one key.
    is_ready CONSTANT smallint := 2; is_leased CONSTANT smallint := 1;
BEGIN
    RETURN (SELECT coalesce(array_agg(s.id), '{}') FROM (
        SELECT j.id
        FROM (
            SELECT w.id, w.key, w.class, w.ready_at FROM queue.job w
            WHERE w.state = 2 AND w.queue = of_queue AND w.ready_at <= since_ms
            -- As many of the longest-waiting are looked at; the first of their keys are among them.
            ORDER BY w.ready_at LIMIT 200
        ) j
        WHERE j.id = (
            SELECT f.id FROM queue.job f WHERE f.queue = of_queue AND f.key = j.key AND f.state = is_ready
            ORDER BY f.priority DESC, f.arrival LIMIT 1
        ) AND (j.key = '' OR coalesce(
            coalesce(
                (SELECT CASE WHEN o.paused THEN 0 ELSE o.job_limit END FROM queue.key_override o
                 WHERE o.queue = of_queue AND o.key = j.key),
                (SELECT c.job_limit FROM queue.limit_class c WHERE c.queue = of_queue AND c.class = j.class)
            ) > (SELECT count(*) FROM queue.job l WHERE l.queue = of_queue AND l.key = j.key AND l.state = is_leased),
            true
        ))
        ORDER BY j.ready_at LIMIT most
    ) s);
END $$;

-- One round of a claim: looks at the first jobs of the ready index; which of them start, which are parked since their key
-- is full, and whether more may be ready.
CREATE FUNCTION queue.look(
    of_queue integer, looked integer, wanted integer, OUT starting uuid[], OUT parking uuid[], OUT more boolean
) LANGUAGE plpgsql SET enable_nestloop = off AS $$
DECLARE
    -- Variables, since with a constant the planner may take an index of that state alone and walk it for one key.
    is_leased CONSTANT smallint := 1;
BEGIN
    WITH head AS MATERIALIZED (
        SELECT j.id, j.key, j.class, j.priority, j.pass, j.arrival FROM queue.job j
        WHERE j.state = 2 AND j.queue = of_queue ORDER BY j.priority DESC, j.pass, j.arrival LIMIT looked
    ), lane AS MATERIALIZED (
        SELECT d.*, CASE WHEN d.key = '' THEN NULL ELSE coalesce(
                (SELECT CASE WHEN o.paused THEN 0 ELSE o.job_limit END FROM queue.key_override o
                 WHERE o.queue = of_queue AND o.key = d.key),
                (SELECT c.job_limit FROM queue.limit_class c WHERE c.queue = of_queue AND c.class = d.class)
            ) END AS job_limit
        FROM (SELECT DISTINCT h.key, h.class FROM head h) d
    ), known AS MATERIALIZED (
        SELECT l.*, CASE WHEN l.job_limit IS NULL THEN 0 ELSE (
                SELECT count(*) FROM queue.job j WHERE j.queue = of_queue AND j.key = l.key AND j.state = is_leased
            ) END AS leased
        FROM lane l
    ), judged AS (
        SELECT h.*, k.job_limit, k.leased, k.job_limit IS NULL OR k.leased + row_number() OVER (
                PARTITION BY h.key ORDER BY h.priority DESC, h.pass, h.arrival
            ) <= k.job_limit AS fits
        FROM head h JOIN known k USING (key, class)
    ), ranked AS (
        SELECT j.*, count(*) FILTER (WHERE j.fits) OVER (ORDER BY j.priority DESC, j.pass, j.arrival) AS place,
               j.leased + count(*) FILTER (WHERE j.fits) OVER (PARTITION BY j.key) >= j.job_limit AS is_full
        FROM judged j
    )
    SELECT array_agg(r.id) FILTER (WHERE r.fits AND r.place <= wanted),
           array_agg(r.id) FILTER (WHERE NOT r.fits AND r.is_full),
           count(*) >= looked OR coalesce(max(r.place), 0) > wanted
    INTO starting, parking, more
    FROM ranked r;
END $$;

-- Leases up to so many jobs, best first. Claims of a queue run one at a time, which makes the counted limits exact.
CREATE FUNCTION queue.claim(
    with_token uuid, names text[], most integer, to_worker text, lease_ms bigint, max_wait_ms bigint,
    OUT unknown text, OUT ids uuid[], OUT more boolean, OUT next_due_in_ms bigint
) LANGUAGE plpgsql AS $$
DECLARE
    -- What ten rounds leave is for the next claim, which `more` asks for. All but the first look further than wanted.
    rounds_max CONSTANT integer := 10;
    look_extra CONSTANT integer := 500;
    -- One start in so many goes to the longest-waiting key, while there is one that has waited too long.
    starved_every CONSTANT integer := 10;
    queues integer[]; one integer; now_ms bigint; q queue.queue; room bigint; share bigint; chosen uuid[]; starting uuid[];
    parking uuid[]; seen_more boolean; left_over integer := most;
BEGIN
    SELECT n INTO unknown FROM unnest(names) n WHERE NOT EXISTS (SELECT FROM queue.queue k WHERE k.name = n) LIMIT 1;
    IF unknown IS NOT NULL THEN
        RETURN;
    END IF;
    queues := ARRAY(SELECT k.id FROM unnest(names) WITH ORDINALITY n(name, nth) JOIN queue.queue k USING (name) ORDER BY n.nth);
    now_ms := queue.enter(queues);
    more := false;
    -- A repeated claim answers what the first has leased, and leases nothing.
    ids := ARRAY(
        SELECT h.id FROM unnest(queues) a(queue)
        CROSS JOIN LATERAL (
            SELECT j.id FROM queue.job j WHERE j.queue = a.queue AND j.token = with_token OFFSET 0
        ) h
    );
    IF most > 0 AND cardinality(ids) = 0 THEN
        FOREACH one IN ARRAY queues LOOP
            SELECT k.* INTO q FROM queue.queue k WHERE k.id = one;
            CONTINUE WHEN q.paused;
            room := left_over;
            IF q.job_limit IS NOT NULL THEN
                SELECT least(room, q.job_limit - count(*)) INTO room FROM queue.job j WHERE j.state = 1 AND j.queue = one;
            END IF;
            CONTINUE WHEN room <= 0;
            -- Of the starts that this claim may make, those whose number `starved_every` divides.
            share := (q.starts % starved_every + room) / starved_every;
            IF share > 0 AND q.resumed_at <= now_ms - max_wait_ms THEN
                chosen := queue.starved(one, now_ms - max_wait_ms, share);
                IF cardinality(chosen) > 0 THEN
                    PERFORM queue.lease(one, chosen, with_token, to_worker, now_ms, now_ms + lease_ms);
                    ids := ids || chosen;
                    room := room - cardinality(chosen);
                    left_over := left_over - cardinality(chosen);
                END IF;
            END IF;
            seen_more := false;
            FOR nth IN 1..rounds_max LOOP
                EXIT WHEN room <= 0;
                SELECT l.* INTO starting, parking, seen_more
                FROM queue.look(one, room::integer + CASE WHEN nth = 1 THEN 1 ELSE look_extra END, room::integer) l;
                IF parking IS NOT NULL THEN
                    UPDATE queue.job j SET state = 3 WHERE j.id = ANY (parking);
                    UPDATE queue.depth d SET ready = d.ready - cardinality(parking),
                                             parked = d.parked + cardinality(parking)
                    WHERE d.queue = one;
                END IF;
                IF starting IS NOT NULL THEN
                    PERFORM queue.lease(one, starting, with_token, to_worker, now_ms, now_ms + lease_ms);
                    ids := ids || starting;
                    room := room - cardinality(starting);
                    left_over := left_over - cardinality(starting);
                END IF;
                EXIT WHEN NOT seen_more;
            END LOOP;
            more := more OR seen_more;
            IF left_over <= 0 THEN
                more := true;
                EXIT;
            END IF;
        END LOOP;
    END IF;
    SELECT min((
        SELECT j.run_at FROM queue.job j WHERE j.state = 0 AND j.queue = a.queue ORDER BY j.run_at LIMIT 1
    )) - now_ms INTO next_due_in_ms FROM unnest(queues) a(queue);
END $$;

-- Extends leases; answers those that are held, with the request to stop if there is one. No start depends on it, so that
-- it needs no queue's lock.
CREATE FUNCTION queue.renew(jobs uuid[], tokens uuid[], extend_ms bigint)
RETURNS TABLE (job uuid, token uuid, cancel smallint) LANGUAGE plpgsql SET enable_hashjoin = off AS $$
DECLARE
    now_ms bigint := queue.enter('{}');
BEGIN
    RETURN QUERY
    -- In one order for all callers, so that no two wait for each other.
    WITH held AS MATERIALIZED (
        SELECT u.job, u.token FROM (SELECT DISTINCT * FROM unnest(jobs, tokens) v(job, token)) u ORDER BY u.job
    )
    UPDATE queue.job j SET expires_at = now_ms + extend_ms
    FROM held h WHERE j.id = h.job AND j.token = h.token
    RETURNING j.id, j.token, j.cancel;
END $$;

CREATE FUNCTION queue.add_errors(jobs uuid[], attempts bigint[], kinds smallint[], messages text[], now_ms bigint)
RETURNS void LANGUAGE plpgsql SET enable_hashjoin = off AS $$
DECLARE
    -- Errors that a job keeps; older ones are dropped.
    kept_max CONSTANT integer := 20;
BEGIN
    INSERT INTO queue.job_error (job, seq, attempt, kind, message, at)
    SELECT u.job, coalesce((
               SELECT e.seq FROM queue.job_error e WHERE e.job = u.job ORDER BY e.seq DESC LIMIT 1
           ), 0) + 1, u.attempt, u.kind, u.message, now_ms
    FROM unnest(jobs, attempts, kinds, messages) u(job, attempt, kind, message);
    DELETE FROM queue.job_error e USING (
        SELECT u.job, (SELECT l.seq FROM queue.job_error l WHERE l.job = u.job ORDER BY l.seq DESC LIMIT 1) AS last
        FROM unnest(jobs) u(job) OFFSET 0
    ) f WHERE e.job = f.job AND e.seq <= f.last - kept_max;
END $$;

-- Ends leases. Actions: 1 complete, 2 retry, 3 bury, 4 release, 5 cancel. Answers for each in order whether it holds.
--
-- It takes the locks that claims take, and gives the room that it frees to parked jobs under them: a claim that parks and
-- a settlement that frees come one after the other, so that no job is left parked beside free room.
CREATE FUNCTION queue.settle(
    jobs uuid[], tokens uuid[], actions smallint[], reasons smallint[], delays_ms bigint[], more_attempts bigint[],
    more_crashes bigint[], error_attempts bigint[], error_kinds smallint[], error_messages text[],
    OUT answers boolean[], OUT woke boolean
) LANGUAGE plpgsql SET enable_nestloop = off AS $$
DECLARE
    queues integer[]; now_ms bigint; ending queue.ending[]; failed uuid[]; attempts bigint[]; kinds smallint[];
    messages text[]; freed_queues integer[]; freed_keys text[]; freed integer[];
BEGIN
    -- A job never changes its queue, and a lease that this call may end was there before it.
    queues := ARRAY(SELECT DISTINCT (SELECT j.queue FROM queue.job j WHERE j.id = u) FROM unnest(jobs) u);
    now_ms := queue.enter(queues);
    WITH asked AS MATERIALIZED (
        SELECT u.*, row_number() OVER (PARTITION BY u.job, u.token ORDER BY u.nth) = 1 AS is_first
        FROM unnest(jobs, tokens, actions, reasons, delays_ms, more_attempts, more_crashes, error_attempts, error_kinds,
                    error_messages)
            WITH ORDINALITY u(job, token, action, reason, delay_ms, more_attempts, more_crashes, error_attempt,
                              error_kind, error_message, nth)
    ), standing AS MATERIALIZED (
        SELECT a.*, j.queue, j.key, j.cancel, j.attempt, j.crashes, j.unique_key, j.unique_ms,
               coalesce(j.held = a.token AND j.queue = ANY (queues), false) AS holds,
               coalesce(CASE WHEN j.queue IS NULL THEN (SELECT h.settled FROM queue.history h WHERE h.id = a.job)
                        ELSE j.settled END = a.token, false) AS repeats
        FROM asked a LEFT JOIN LATERAL (
            SELECT s.queue, s.key, s.cancel, s.attempt, s.crashes, s.unique_key, s.unique_ms, s.token AS held, s.settled
            FROM queue.job s WHERE s.id = a.job OFFSET 0
        ) j ON true
    ), live AS MATERIALIZED (
        SELECT s.*, CASE
                WHEN s.action = 1 THEN 4
                -- A job that was told to stop is not run again, however its attempt ended, its worker's death included.
                WHEN s.action = 5 OR s.cancel IS NOT NULL THEN 6
                WHEN s.action = 3 THEN 5
                WHEN s.action = 2 THEN 0
                ELSE 2
            END::smallint AS state
        FROM standing s WHERE s.holds AND s.is_first
    ), room AS MATERIALIZED (
        SELECT l.queue, l.key, count(*)::integer AS freed FROM live l WHERE l.key <> '' GROUP BY l.queue, l.key
    )
    SELECT
        (SELECT array_agg(s.holds OR s.repeats ORDER BY s.nth) FROM standing s),
        (SELECT array_agg(ROW(
                l.job, l.queue, l.key, 1, l.state,
                CASE WHEN l.state = 6 AND l.action <> 5 THEN l.cancel ELSE l.reason END,
                CASE WHEN l.state = 0 THEN now_ms + l.delay_ms END,
                l.attempt + CASE WHEN l.state = 6 THEN 0 ELSE l.more_attempts END, l.crashes + l.more_crashes,
                l.unique_key, l.unique_ms
            )::queue.ending) FROM live l),
        e.failed, e.attempts, e.kinds, e.messages, r.queues, r.keys, r.freed
    INTO answers, ending, failed, attempts, kinds, messages, freed_queues, freed_keys, freed
    FROM (
        SELECT array_agg(l.job) AS failed, array_agg(l.error_attempt) AS attempts, array_agg(l.error_kind) AS kinds,
               array_agg(l.error_message) AS messages
        FROM live l WHERE l.error_kind IS NOT NULL
    ) e, (
        SELECT array_agg(r.queue) AS queues, array_agg(r.key) AS keys, array_agg(r.freed) AS freed FROM room r
    ) r;
    woke := false;
    IF ending IS NULL THEN
        RETURN;
    END IF;
    PERFORM queue.finish(ending, now_ms);
    IF failed IS NOT NULL THEN
        PERFORM queue.add_errors(failed, attempts, kinds, messages, now_ms);
    END IF;
    IF freed_queues IS NOT NULL THEN
        woke := queue.unpark(freed_queues, freed_keys, freed, now_ms) > 0;
    END IF;
    woke := woke OR 4 = ANY (actions);
END $$;

-- Keeps the value of a step with a job, as the one written last: 0 the lease is lost, 1 kept, 2 there are too many.
CREATE FUNCTION queue.keep_checkpoint(of_job uuid, with_token uuid, of_step text, new_value bytea, steps_max integer)
RETURNS smallint LANGUAGE plpgsql AS $$
DECLARE
    others integer; last integer;
BEGIN
    PERFORM queue.enter('{}');
    -- Settlements and reapers wait for this row, and so does a second checkpoint of the job.
    PERFORM FROM queue.job j WHERE j.id = of_job AND j.token = with_token FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    SELECT count(*) FILTER (WHERE c.step <> of_step), max(c.seq) INTO others, last
    FROM queue.checkpoint c WHERE c.job = of_job;
    IF others >= steps_max THEN
        RETURN 2;
    END IF;
    INSERT INTO queue.checkpoint (job, step, seq, value) VALUES (of_job, of_step, coalesce(last, 0) + 1, new_value)
    ON CONFLICT (job, step) DO UPDATE SET seq = excluded.seq, value = excluded.value;
    RETURN 1;
END $$;

-- Takes over expired leases under a new token. A repeated call answers what the first has taken over.
CREATE FUNCTION queue.reap(with_token uuid, to_worker text, lease_ms bigint, most integer) RETURNS uuid[]
LANGUAGE plpgsql AS $$
DECLARE
    queues integer[] := ARRAY(SELECT q.id FROM queue.queue q ORDER BY q.id); one integer; now_ms bigint; ids uuid[];
BEGIN
    now_ms := queue.enter(queues);
    ids := ARRAY(
        SELECT h.id FROM unnest(queues) a(queue)
        CROSS JOIN LATERAL (
            SELECT j.id FROM queue.job j WHERE j.queue = a.queue AND j.token = with_token OFFSET 0
        ) h
    );
    IF cardinality(ids) > 0 THEN
        RETURN ids;
    END IF;
    FOREACH one IN ARRAY queues LOOP
        ids := ids || ARRAY(
            SELECT j.id FROM queue.job j WHERE j.state = 1 AND j.queue = one AND j.expires_at <= now_ms
            ORDER BY j.expires_at LIMIT most - cardinality(ids)
        );
    END LOOP;
    -- A renewal that came first has its lease back.
    WITH taken AS (
        UPDATE queue.job j SET token = with_token, worker = to_worker, leased_at = now_ms, expires_at = now_ms + lease_ms
        WHERE j.id = ANY (ids) AND j.expires_at <= now_ms
        RETURNING j.id
    )
    SELECT coalesce(array_agg(t.id), '{}') INTO ids FROM taken t;
    RETURN ids;
END $$;
