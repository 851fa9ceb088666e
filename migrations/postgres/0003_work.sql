-- The life of a job: enqueue, claim, renew, settle, checkpoint and reap, each in one call.

-- Takes unique keys for jobs that nothing else keeps out (answer 0): of those that come together the first. Answers 1 for the
-- others and for jobs that are there already, and who holds the key or is there. Who waits for another's key, waits for the
-- end of that one's transaction.
CREATE FUNCTION queue.take_unique(
    ids uuid[], queues integer[], unique_keys text[], now_ms bigint, INOUT answers smallint[], OUT holders uuid[]
) LANGUAGE plpgsql AS $$
BEGIN
    answers := ARRAY(
        SELECT CASE
            WHEN u.answer > 0 THEN u.answer
            WHEN (SELECT true FROM queue.job j WHERE j.id = u.id) THEN 1
            WHEN (SELECT true FROM queue.history h WHERE h.id = u.id) THEN 1
            ELSE 0
        END
        FROM unnest(ids, answers) WITH ORDINALITY u(id, answer, nth) ORDER BY u.nth
    );
    INSERT INTO queue.unique_key AS k (queue, key, job)
    SELECT DISTINCT ON (u.queue, u.unique_key) u.queue, u.unique_key, u.id
    FROM unnest(ids, queues, unique_keys, answers) WITH ORDINALITY u(id, queue, unique_key, answer, nth)
    WHERE u.answer = 0 AND u.unique_key IS NOT NULL
    -- In one order for all callers, so that no two wait for each other.
    ORDER BY u.queue, u.unique_key, u.nth
    ON CONFLICT (queue, key) DO UPDATE SET job = excluded.job, supersede_key = NULL, until = NULL WHERE k.until <= now_ms;
    SELECT array_agg(t.holder ORDER BY t.nth),
           array_agg(CASE WHEN t.answer = 0 AND t.holder <> t.id THEN 1 ELSE t.answer END ORDER BY t.nth)
    INTO holders, answers
    FROM (
        SELECT u.*, coalesce(CASE WHEN u.answer = 0 AND u.unique_key IS NOT NULL THEN (
            SELECT k.job FROM queue.unique_key k WHERE k.queue = u.queue AND k.key = u.unique_key
        ) END, u.id) AS holder
        FROM unnest(ids, queues, unique_keys, answers) WITH ORDINALITY u(id, queue, unique_key, answer, nth)
    ) t;
END $$;

-- Why a job cannot be stored as it is: 2 unknown queue, 3 unknown limit class, 4 too far away, or 0.
CREATE FUNCTION queue.fault_of(of_queue integer, of_class text, run_at bigint, run_at_max_ms bigint, now_ms bigint)
RETURNS smallint LANGUAGE plpgsql AS $$
BEGIN
    RETURN CASE
        WHEN of_queue IS NULL THEN 2
        WHEN of_class <> '' AND (
            SELECT true FROM queue.limit_class c WHERE c.queue = of_queue AND c.class = of_class
        ) IS NULL THEN 3
        WHEN run_at > now_ms + run_at_max_ms THEN 4
        ELSE 0
    END;
END $$;

-- Stores jobs that supersede none and that no throttle refuses, in a transaction that has been tuned. See queue.enqueue.
CREATE FUNCTION queue.store_jobs(
    ids uuid[], names text[], kinds text[], priorities smallint[], weights smallint[], keys text[], classes text[],
    run_ats bigint[], maxima bigint[], timeouts_ms bigint[], unique_keys text[], uniques_ms bigint[], payloads text[],
    trace_parents text[], run_at_max_ms bigint, supersede_keys text[], version_ats bigint[], version_ids text[],
    OUT answers smallint[], OUT holders uuid[], OUT woke boolean
) LANGUAGE plpgsql AS $$
DECLARE
    now_ms bigint := queue.queue_now();
    queues integer[]; placed_queues integer[]; passes bigint[]; stored uuid[]; stored_queues integer[];
    stored_states smallint[]; finished uuid[];
BEGIN
    -- Look-ups stand as scalars, so that no planner hashes a whole table for them.
    SELECT array_agg(a.queue ORDER BY a.nth), array_agg(a.answer ORDER BY a.nth),
           array_agg(CASE WHEN a.answer = 0 AND coalesce(a.run_at <= now_ms, true) THEN a.queue END ORDER BY a.nth)
    INTO queues, answers, placed_queues
    FROM (
        SELECT k.*, CASE
                WHEN k.queue IS NULL THEN 2
                WHEN k.class <> '' AND (
                    SELECT true FROM queue.limit_class c WHERE c.queue = k.queue AND c.class = k.class
                ) IS NULL THEN 3
                WHEN k.run_at > now_ms + run_at_max_ms THEN 4
                ELSE 0
            END AS answer
        FROM (
            SELECT u.*, (SELECT q.id FROM queue.queue q WHERE q.name = u.name) AS queue
            FROM unnest(names, classes, run_ats) WITH ORDINALITY u(name, class, run_at, nth)
            OFFSET 0
        ) k
        OFFSET 0
    ) a;
    holders := ids;
    IF cardinality(array_remove(unique_keys, NULL)) > 0 THEN
        SELECT t.answers, t.holders INTO answers, holders
        FROM queue.take_unique(ids, queues, unique_keys, now_ms, answers) t;
        placed_queues := ARRAY(
            SELECT CASE WHEN u.answer = 0 THEN u.queue END
            FROM unnest(placed_queues, answers) WITH ORDINALITY u(queue, answer, nth) ORDER BY u.nth
        );
    END IF;
    passes := queue.turns(placed_queues, keys, priorities, weights);
    WITH stored AS (
        INSERT INTO queue.job (
            id, pass, arrival, created_at, timeout_ms, attempt, max_attempts, crashes, queue, state, priority, weight,
            run_at, ready_at, unique_ms, kind, key, class, unique_key, supersede_key, version_at, version_id, trace_parent,
            payload
        )
        SELECT u.id, coalesce(u.pass, 0), nextval('queue.arrival'), now_ms, u.timeout_ms, 1, u.max_attempts, 0, u.queue,
               CASE WHEN u.pass IS NULL THEN 0 ELSE 2 END, u.priority, u.weight, CASE WHEN u.pass IS NULL THEN u.run_at END,
               CASE WHEN u.pass IS NOT NULL THEN now_ms END, u.unique_ms, u.kind, u.key, u.class, u.unique_key,
               u.supersede_key, u.version_at, u.version_id, u.trace_parent, u.payload
        FROM unnest(
            ids, queues, answers, passes, kinds, priorities, weights, keys, classes, run_ats, maxima, timeouts_ms,
            unique_keys, uniques_ms, payloads, trace_parents, supersede_keys, version_ats, version_ids
        ) u(
            id, queue, answer, pass, kind, priority, weight, key, class, run_at, max_attempts, timeout_ms, unique_key,
            unique_ms, payload, trace_parent, supersede_key, version_at, version_id
        )
        WHERE u.answer = 0
        ON CONFLICT (id) DO NOTHING
        RETURNING id, queue, state
    )
    SELECT array_agg(s.id), array_agg(s.queue), array_agg(s.state) INTO stored, stored_queues, stored_states FROM stored s;
    -- Looked for after the insert: a job that has been finished meanwhile is found here, if it was not in the way there.
    finished := ARRAY(
        SELECT h.id FROM unnest(stored) u(id) CROSS JOIN LATERAL (
            SELECT f.id FROM queue.history f WHERE f.id = u.id OFFSET 0
        ) h
    );
    IF cardinality(finished) > 0 THEN
        DELETE FROM queue.job j WHERE j.id = ANY (finished);
        SELECT array_agg(u.id), array_agg(u.queue), array_agg(u.state) INTO stored, stored_queues, stored_states
        FROM unnest(stored, stored_queues, stored_states) u(id, queue, state) WHERE u.id <> ALL (finished);
    END IF;
    IF cardinality(array_positions(answers, 0::smallint)) > coalesce(cardinality(stored), 0) THEN
        -- Jobs that are there already have taken no key with them.
        DELETE FROM queue.unique_key k
        USING unnest(ids, queues, unique_keys, answers) u(id, queue, unique_key, answer)
        WHERE u.answer = 0 AND (u.id NOT IN (SELECT s FROM unnest(stored) s)) AND k.queue = u.queue
          AND k.key = u.unique_key AND k.job = u.id;
        answers := ARRAY(
            SELECT CASE
                WHEN u.answer > 0 THEN u.answer
                WHEN u.id NOT IN (SELECT s FROM unnest(stored) s) THEN 1
                -- Of those with one id that come together the first is stored.
                WHEN row_number() OVER (PARTITION BY u.id, u.answer ORDER BY u.nth) > 1 THEN 1
                ELSE 0
            END
            FROM unnest(ids, answers) WITH ORDINALITY u(id, answer, nth) ORDER BY u.nth
        );
    END IF;
    PERFORM queue.count_moves(stored_queues, NULL, stored_states);
    woke := coalesce(2 = ANY (stored_states), false);
END $$;

-- How many jobs of a key its throttle still takes, those that wait counted, and how long until a start leaves the period;
-- NULL when it refuses none.
CREATE FUNCTION queue.quota(of_queue integer, of_class text, of_key text, now_ms bigint, OUT room bigint, OUT retry_in_ms bigint)
LANGUAGE plpgsql AS $$
BEGIN
    SELECT c.throttle_starts - coalesce((
               SELECT sum(s.n) FROM queue.throttle_start s
               WHERE s.queue = of_queue AND s.class = of_class AND s.key = of_key AND s.at > now_ms - c.throttle_ms
           ), 0) - (
               SELECT count(*) FROM (
                   SELECT FROM queue.job j WHERE j.queue = of_queue AND j.key = of_key AND j.state = 2
                   ORDER BY j.priority DESC, j.arrival LIMIT c.throttle_starts
               ) ready
           ) - (
               SELECT count(*) FROM (
                   SELECT FROM queue.job j WHERE j.queue = of_queue AND j.key = of_key AND j.state = 3
                   ORDER BY j.priority DESC, j.arrival LIMIT c.throttle_starts
               ) parked
           ), c.throttle_ms + coalesce((
               SELECT min(s.at) FROM queue.throttle_start s
               WHERE s.queue = of_queue AND s.class = of_class AND s.key = of_key AND s.at > now_ms - c.throttle_ms
           ), now_ms) - now_ms
    INTO room, retry_in_ms
    FROM queue.limit_class c
    WHERE c.queue = of_queue AND c.class = of_class AND c.throttle_starts IS NOT NULL AND c.throttle_refuses;
END $$;

-- Stores jobs of all callers that joined, as if each came by itself. Answers for each in order: 0 stored, 1 there already (by
-- whom), 2 unknown queue, 3 unknown limit class, 4 too far away, 5 superseded (by whom), 6 refused by its throttle (for how
-- long). Keys of jobs that it has parked behind an older version are to be looked at after the commit: see queue.fill. Without
-- `on_disk`, the caller has still to wait for the disk.
CREATE FUNCTION queue.enqueue(
    ids uuid[], names text[], kinds text[], priorities smallint[], weights smallint[], keys text[], classes text[],
    run_ats bigint[], maxima bigint[], timeouts_ms bigint[], unique_keys text[], uniques_ms bigint[], payloads text[],
    trace_parents text[], run_at_max_ms bigint, supersede_keys text[], version_ats bigint[], version_ids text[],
    OUT answers smallint[], OUT holders uuid[], OUT woke boolean, OUT retry_in_ms bigint[], OUT parked_queues integer[],
    OUT parked_keys text[], OUT on_disk boolean
) LANGUAGE plpgsql AS $$
DECLARE
    -- A variable, since with a constant the planner may take an index of that state alone and walk it.
    is_leased CONSTANT smallint := 1;
    now_ms bigint; of_queue integer; answer smallint; holder uuid; newest queue.version; held queue.unique_key; quota record;
    stored record;
BEGIN
    retry_in_ms := array_fill(NULL::bigint, ARRAY[cardinality(ids)]);
    parked_queues := '{}';
    parked_keys := '{}';
    -- Most jobs neither supersede nor can be refused, and are stored together without a lock.
    PERFORM queue.tune();
    on_disk := cardinality(array_remove(supersede_keys, NULL)) = 0 AND NOT EXISTS (
        SELECT FROM queue.limit_class c WHERE c.throttle_refuses AND c.throttle_starts IS NOT NULL AND c.class = ANY (classes)
    );
    IF on_disk THEN
        PERFORM queue.wait_for_disk();
        SELECT s.answers, s.holders, s.woke INTO answers, holders, woke FROM queue.store_jobs(
            ids, names, kinds, priorities, weights, keys, classes, run_ats, maxima, timeouts_ms, unique_keys, uniques_ms,
            payloads, trace_parents, run_at_max_ms, supersede_keys, version_ats, version_ids
        ) s;
        RETURN;
    END IF;
    answers := '{}';
    holders := '{}';
    woke := false;
    now_ms := queue.enter(ARRAY(SELECT q.id FROM queue.queue q WHERE q.name = ANY (names)));
    FOR i IN 1..cardinality(ids) LOOP
        of_queue := (SELECT q.id FROM queue.queue q WHERE q.name = names[i]);
        answer := queue.fault_of(of_queue, classes[i], run_ats[i], run_at_max_ms, now_ms);
        holder := ids[i];
        newest := NULL;
        held := NULL;
        IF answer = 0 AND coalesce((SELECT true FROM queue.job j WHERE j.id = ids[i]),
                                   (SELECT true FROM queue.history h WHERE h.id = ids[i])) THEN
            answer := 1;
        END IF;
        IF answer = 0 AND supersede_keys[i] IS NOT NULL THEN
            SELECT v.* INTO newest FROM queue.version v WHERE v.queue = of_queue AND v.key = supersede_keys[i];
            IF newest.at = version_ats[i] AND newest.id = version_ids[i] THEN
                answer := 1;
                holder := newest.job;
            ELSIF version_ats[i] < newest.at THEN
                answer := 5;
                holder := newest.job;
            END IF;
        END IF;
        IF answer = 0 AND unique_keys[i] IS NOT NULL THEN
            SELECT k.* INTO held FROM queue.unique_key k
            WHERE k.queue = of_queue AND k.key = unique_keys[i] AND (k.until IS NULL OR k.until > now_ms);
            -- An older version leaves its key to a newer one.
            IF held.job IS NOT NULL AND NOT coalesce(held.supersede_key = supersede_keys[i], false) THEN
                answer := 1;
                holder := held.job;
            END IF;
        END IF;
        IF answer = 0 AND coalesce(run_ats[i] <= now_ms, true) THEN
            SELECT q.* INTO quota FROM queue.quota(of_queue, classes[i], keys[i], now_ms) q;
            IF quota.room <= 0 THEN
                answer := 6;
                retry_in_ms[i] := quota.retry_in_ms;
            END IF;
        END IF;
        IF answer = 0 THEN
            IF held.job IS NOT NULL THEN
                DELETE FROM queue.unique_key k WHERE k.queue = of_queue AND k.key = unique_keys[i] AND k.job = held.job;
            END IF;
            SELECT s.* INTO stored FROM queue.store_jobs(
                ids[i:i], names[i:i], kinds[i:i], priorities[i:i], weights[i:i], keys[i:i], classes[i:i], run_ats[i:i],
                maxima[i:i], timeouts_ms[i:i], unique_keys[i:i], uniques_ms[i:i], payloads[i:i], trace_parents[i:i],
                run_at_max_ms, supersede_keys[i:i], version_ats[i:i], version_ids[i:i]
            ) s;
            answer := stored.answers[1];
            holder := stored.holders[1];
            woke := woke OR stored.woke;
            IF answer > 0 AND held.job IS NOT NULL THEN
                RAISE EXCEPTION 'a unique key was taken meanwhile' USING ERRCODE = 'serialization_failure';
            END IF;
            IF answer = 0 AND supersede_keys[i] IS NOT NULL THEN
                UPDATE queue.unique_key k SET supersede_key = supersede_keys[i]
                WHERE k.queue = of_queue AND k.key = unique_keys[i] AND k.job = ids[i];
                INSERT INTO queue.version (queue, key, at, id, job, forget_at)
                VALUES (of_queue, supersede_keys[i], version_ats[i], version_ids[i], ids[i], now_ms + queue.versions_kept_ms())
                ON CONFLICT (queue, key) DO UPDATE SET
                    at = excluded.at, id = excluded.id, job = excluded.job, forget_at = excluded.forget_at;
                PERFORM queue.supersede(of_queue, supersede_keys[i], ids[i], now_ms);
                -- It waits until no older one is leased.
                IF stored.woke AND (
                    SELECT true FROM queue.job j WHERE j.queue = of_queue AND j.supersede_key = supersede_keys[i]
                      AND j.state = is_leased LIMIT 1
                ) THEN
                    UPDATE queue.job j SET state = 3 WHERE j.id = ids[i];
                    PERFORM queue.count_moves(ARRAY[of_queue], ARRAY[2::smallint], ARRAY[3::smallint]);
                    parked_queues := parked_queues || of_queue;
                    parked_keys := parked_keys || keys[i];
                END IF;
            END IF;
        END IF;
        answers := answers || answer;
        holders := holders || holder;
    END LOOP;
END $$;

-- Ready jobs that a claim has looked at, best first.
CREATE TYPE queue.looked AS (
    tids tid[], ids uuid[], keys text[], classes text[], priorities smallint[], passes bigint[]
);

CREATE FUNCTION queue.lease(
    of_queue integer, jobs queue.looked, with_token uuid, to_worker text, now_ms bigint, until_ms bigint
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE queue.job j SET state = 1, token = with_token, worker = to_worker, leased_at = now_ms, expires_at = until_ms
    WHERE j.ctid = ANY (jobs.tids);
    -- V rises with what is leased, and never falls.
    INSERT INTO queue.turn AS t (queue, priority, v)
    SELECT of_queue, u.priority, max(u.pass) FROM unnest(jobs.priorities, jobs.passes) u(priority, pass) GROUP BY u.priority
    ON CONFLICT (queue, priority) DO UPDATE SET v = greatest(t.v, excluded.v);
    UPDATE queue.queue q SET starts = q.starts + cardinality(jobs.tids) WHERE q.id = of_queue;
    INSERT INTO queue.throttle_start AS s (queue, class, key, at, n)
    SELECT of_queue, u.class, u.key, now_ms, count(*)
    FROM queue.limit_class c JOIN unnest(jobs.keys, jobs.classes) u(key, class) ON u.class = c.class
    WHERE c.queue = of_queue AND c.throttle_starts IS NOT NULL GROUP BY u.class, u.key
    ON CONFLICT (queue, class, key, at) DO UPDATE SET n = s.n + excluded.n;
END $$;

-- Divides ready jobs into those that start, as many as are wanted, and those whose key is full or has had all its starts.
CREATE FUNCTION queue.divide(
    of_queue integer, jobs queue.looked, wanted integer, now_ms bigint,
    OUT starting queue.looked, OUT parking queue.looked, OUT more boolean
) LANGUAGE plpgsql SET enable_hashjoin = on SET enable_nestloop = off AS $$
DECLARE
    divided record;
BEGIN
    WITH head AS MATERIALIZED (
        SELECT u.* FROM unnest(jobs.tids, jobs.ids, jobs.keys, jobs.classes, jobs.priorities, jobs.passes)
            WITH ORDINALITY u(at, id, key, class, priority, pass, nth)
    ), known AS MATERIALIZED (
        SELECT l.*, CASE WHEN l.job_limit IS NULL THEN 0 ELSE (
                SELECT count(*) FROM queue.job j WHERE j.queue = of_queue AND j.key = l.key AND j.state = 1
            ) END AS leased, (
                SELECT CASE WHEN (
                    SELECT true FROM queue.throttled t WHERE t.queue = of_queue AND t.key = l.key AND t.until <= now_ms
                ) THEN 0 ELSE c.throttle_starts - coalesce((
                    SELECT sum(s.n) FROM queue.throttle_start s
                    WHERE s.queue = of_queue AND s.class = l.class AND s.key = l.key AND s.at > now_ms - c.throttle_ms
                ), 0) END
                FROM queue.limit_class c
                WHERE c.queue = of_queue AND c.class = l.class AND c.throttle_starts IS NOT NULL
            ) AS starts_left
        FROM (
            SELECT d.*, CASE WHEN d.key = '' THEN NULL ELSE coalesce(
                    (SELECT CASE WHEN o.paused THEN 0 ELSE o.job_limit END FROM queue.key_override o
                     WHERE o.queue = of_queue AND o.key = d.key),
                    (SELECT c.job_limit FROM queue.limit_class c WHERE c.queue = of_queue AND c.class = d.class)
                ) END AS job_limit
            FROM (SELECT DISTINCT h.key, h.class FROM head h) d
        ) l
    ), judged AS (
        SELECT h.*, k.job_limit, k.leased, k.starts_left, (k.job_limit IS NULL OR k.leased + row_number() OVER (
                PARTITION BY h.key ORDER BY h.nth
            ) <= k.job_limit) AND coalesce(row_number() OVER (PARTITION BY h.key, h.class ORDER BY h.nth) <= k.starts_left, true)
            AS fits
        FROM head h JOIN known k USING (key, class)
    ), ranked AS MATERIALIZED (
        SELECT j.*, count(*) FILTER (WHERE j.fits) OVER (ORDER BY j.nth) AS place,
               coalesce(j.leased + count(*) FILTER (WHERE j.fits) OVER (PARTITION BY j.key) >= j.job_limit, false)
               OR coalesce(count(*) FILTER (WHERE j.fits) OVER (PARTITION BY j.key, j.class) >= j.starts_left, false) AS is_full
        FROM judged j
    ), starts AS (
        SELECT array_agg(r.at ORDER BY r.nth) AS tids, array_agg(r.id ORDER BY r.nth) AS ids,
               array_agg(r.key ORDER BY r.nth) AS keys, array_agg(r.class ORDER BY r.nth) AS classes,
               array_agg(r.priority ORDER BY r.nth) AS priorities, array_agg(r.pass ORDER BY r.nth) AS passes
        FROM ranked r WHERE r.fits AND r.place <= wanted
    ), parks AS (
        SELECT array_agg(r.at) AS tids, array_agg(r.id) AS ids, array_agg(r.key) AS keys, array_agg(r.class) AS classes,
               array_agg(r.priority) AS priorities, array_agg(r.pass) AS passes
        FROM ranked r WHERE NOT r.fits AND r.is_full
    )
    SELECT ROW(s.*)::queue.looked AS starting, ROW(p.*)::queue.looked AS parking,
           (SELECT max(r.place) FROM ranked r) > wanted AS more
    INTO divided FROM starts s, parks p;
    starting := divided.starting;
    parking := divided.parking;
    more := divided.more;
END $$;

-- Of the ready jobs that are the first of their key and wait since then or longer, best first those that have waited longest:
-- those that start, and those whose key is full.
CREATE FUNCTION queue.starved(
    of_queue integer, since_ms bigint, wanted integer, now_ms bigint, OUT starting queue.looked, OUT parking queue.looked
) LANGUAGE plpgsql AS $$
DECLARE
    oldest queue.looked; divided record;
BEGIN
    SELECT array_agg(j.at), array_agg(j.id), array_agg(j.key), array_agg(j.class), array_agg(j.priority), array_agg(j.pass)
    INTO oldest
    FROM (
        SELECT w.ctid AS at, w.id, w.key, w.class, w.priority, w.pass FROM queue.job w
        WHERE w.state = 2 AND w.queue = of_queue AND w.ready_at <= since_ms
        -- As many of the longest-waiting are looked at; the first of their keys are among them.
        ORDER BY w.ready_at LIMIT 200
    ) j
    WHERE j.id = (
        SELECT f.id FROM queue.job f WHERE f.queue = of_queue AND f.key = j.key AND f.state = 2
        ORDER BY f.priority DESC, f.arrival LIMIT 1
    );
    IF oldest.tids IS NOT NULL THEN
        SELECT d.* INTO divided FROM queue.divide(of_queue, oldest, wanted, now_ms) d;
        starting := divided.starting;
        parking := divided.parking;
    END IF;
END $$;

-- Sees to it that no job of a lane (a key at one priority) starts before an earlier one of it that is ready: of the lanes of
-- these jobs, the first ones get the least pass of those that would start before them; whether any does.
--
-- A job may be stored in the very moment in which an older one of its lane ceases to be parked. Each is then given its turn
-- without seeing the other, and the claim that finds both puts them in order.
CREATE FUNCTION queue.mend(of_queue integer, of_keys text[], priorities smallint[], arrivals bigint[], passes bigint[])
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    late_keys text[]; late_priorities smallint[]; lasts bigint[]; firsts bigint[]; counts bigint[];
BEGIN
    SELECT array_agg(l.key), array_agg(l.priority), array_agg(l.last), array_agg(l.pass), array_agg(l.jobs)
    INTO late_keys, late_priorities, lasts, firsts, counts
    FROM (
        SELECT u.key, u.priority, count(*) AS jobs, max(u.arrival) AS last, min(u.pass) AS pass
        FROM unnest(of_keys, priorities, arrivals, passes) u(key, priority, arrival, pass) GROUP BY u.key, u.priority
    ) l
    WHERE (
        SELECT count(*) FROM (
            SELECT FROM queue.job j
            WHERE j.queue = of_queue AND j.key = l.key AND j.state = 2 AND j.priority = l.priority AND j.arrival < l.last
            ORDER BY j.priority DESC, j.arrival LIMIT l.jobs
        ) earlier
    ) >= l.jobs;
    IF late_keys IS NULL THEN
        RETURN false;
    END IF;
    UPDATE queue.job j SET pass = f.pass
    FROM (
        SELECT w.at, l.pass FROM unnest(late_keys, late_priorities, lasts, firsts, counts) l(key, priority, last, pass, jobs)
        CROSS JOIN LATERAL (
            SELECT e.ctid AS at, e.pass FROM queue.job e
            WHERE e.queue = of_queue AND e.key = l.key AND e.state = 2 AND e.priority = l.priority AND e.arrival < l.last
            ORDER BY e.priority DESC, e.arrival LIMIT l.jobs
        ) w WHERE w.pass > l.pass
    ) f
    WHERE j.ctid = f.at;
    RETURN true;
END $$;

-- One round of a claim: looks at the first jobs of the ready index; which of them start, which are parked since their key
-- is full, and whether more may be ready. A queue is plain that has neither throttles nor keys with settings of their own, and
-- mended where a parked job has become ready of late.
CREATE FUNCTION queue.look(
    of_queue integer, rows integer, wanted integer, is_plain boolean, is_mended boolean, now_ms bigint,
    OUT starting queue.looked, OUT parking queue.looked, OUT more boolean
) LANGUAGE plpgsql AS $$
DECLARE
    head queue.looked; arrivals bigint[]; all_fit boolean; classes text[]; limits bigint[]; divided record;
BEGIN
    -- Twice at most: what has been mended stays so under the lock of the queue.
    FOR nth IN 1..2 LOOP
        SELECT array_agg(j.at), array_agg(j.id), array_agg(j.key), array_agg(j.class), array_agg(j.priority), array_agg(j.pass),
               array_agg(j.arrival)
        INTO head.tids, head.ids, head.keys, head.classes, head.priorities, head.passes, arrivals
        FROM (
            SELECT w.ctid AS at, w.id, w.key, w.class, w.priority, w.pass, w.arrival FROM queue.job w
            WHERE w.state = 2 AND w.queue = of_queue ORDER BY w.priority DESC, w.pass, w.arrival LIMIT rows
        ) j;
        EXIT WHEN head.tids IS NULL OR NOT is_mended OR NOT queue.mend(
            of_queue, head.keys[:wanted], head.priorities[:wanted], arrivals[:wanted], head.passes[:wanted]
        );
    END LOOP;
    more := coalesce(cardinality(head.tids) >= rows, false);
    IF head.tids IS NULL THEN
        RETURN;
    END IF;
    -- Mostly no key comes near its limit, and nothing needs to be ranked.
    IF is_plain THEN
        -- Of the classes there are few.
        SELECT array_agg(d.class), array_agg((
            SELECT c.job_limit FROM queue.limit_class c WHERE c.queue = of_queue AND c.class = d.class
        )) INTO classes, limits FROM (SELECT DISTINCT u.class FROM unnest(head.classes[:wanted]) u(class)) d;
        SELECT bool_and(k.job_limit IS NULL OR k.wanted <= k.job_limit - (
            SELECT count(*) FROM queue.job j WHERE j.queue = of_queue AND j.key = k.key AND j.state = 1
        )) INTO all_fit
        FROM (
            SELECT u.key, count(*) AS wanted,
                   min(CASE WHEN u.key <> '' THEN limits[array_position(classes, u.class)] END) AS job_limit
            FROM unnest(head.keys[:wanted], head.classes[:wanted]) u(key, class) GROUP BY u.key
        ) k;
    END IF;
    IF all_fit THEN
        starting := ROW(head.tids[:wanted], head.ids[:wanted], head.keys[:wanted], head.classes[:wanted],
                        head.priorities[:wanted], head.passes[:wanted]);
    ELSE
        SELECT d.* INTO divided FROM queue.divide(of_queue, head, wanted, now_ms) d;
        starting := divided.starting;
        parking := divided.parking;
        more := more OR divided.more;
    END IF;
END $$;

-- Leases up to so many jobs, best first. Claims of a queue run one at a time, which makes the counted limits exact. The keys
-- of jobs that it has parked are to be looked at again once it has committed: see queue.fill.
CREATE FUNCTION queue.claim(
    with_token uuid, names text[], most integer, to_worker text, lease_ms bigint, max_wait_ms bigint,
    OUT unknown text, OUT ids uuid[], OUT more boolean, OUT next_due_in_ms bigint, OUT parked_queues integer[],
    OUT parked_keys text[]
) LANGUAGE plpgsql AS $$
DECLARE
    -- What ten rounds leave is for the next claim, which `more` asks for. All but the first look further than wanted.
    rounds_max CONSTANT integer := 10;
    look_extra CONSTANT integer := 500;
    -- One start in so many goes to the longest-waiting key, while there is one that has waited too long.
    starved_every CONSTANT integer := 10;
    queues integer[]; one integer; now_ms bigint; q queue.queue; room integer; share integer; seen record;
    starting queue.looked; parking queue.looked; left_over integer := most; leased_queues integer[] := '{}';
    -- How long after a parked job has become ready a claim puts lanes in order: longer than an enqueue takes.
    mended_ms CONSTANT integer := 60000;
    is_throttled boolean; is_plain boolean; is_mended boolean; is_full boolean;
BEGIN
    SELECT n INTO unknown FROM unnest(names) n WHERE NOT EXISTS (SELECT FROM queue.queue k WHERE k.name = n) LIMIT 1;
    IF unknown IS NOT NULL THEN
        RETURN;
    END IF;
    queues := ARRAY(SELECT k.id FROM unnest(names) WITH ORDINALITY n(name, nth) JOIN queue.queue k USING (name) ORDER BY n.nth);
    more := false;
    ids := '{}';
    parked_queues := '{}';
    parked_keys := '{}';
    PERFORM queue.tune();
    -- Where nothing is ready, no lock is taken to find that out: workers that are woken together get here all but one. Where
    -- something is, the counts say so sooner than the index, which starts with what was leased a moment ago.
    IF (SELECT sum(d.ready) > 0 FROM queue.depth d WHERE d.queue = ANY (queues)) IS NOT TRUE
       AND NOT EXISTS (SELECT FROM queue.claimed c WHERE c.token = with_token) AND NOT EXISTS (
        SELECT FROM unnest(queues) u(id) CROSS JOIN LATERAL (
            SELECT FROM queue.job j WHERE j.state = 2 AND j.queue = u.id ORDER BY j.priority DESC, j.pass, j.arrival LIMIT 1
        ) ready
    ) THEN
        next_due_in_ms := queue.next_wake(queues, queue.queue_now());
        RETURN;
    END IF;
    -- Queues of a group are counted together, and so claimed from one at a time.
    now_ms := queue.enter(queues || ARRAY(
        SELECT m.id FROM queue.queue k JOIN queue.queue m ON m.group_id = k.group_id WHERE k.id = ANY (queues)
    ));
    -- A repeated claim answers what the first has leased, and leases nothing.
    ids := (SELECT c.ids FROM queue.claimed c WHERE c.token = with_token);
    IF ids IS NULL THEN
        ids := '{}';
        FOREACH one IN ARRAY queues LOOP
            EXIT WHEN most = 0;
            SELECT k.* INTO q FROM queue.queue k WHERE k.id = one;
            CONTINUE WHEN q.paused;
            room := left_over;
            IF q.job_limit IS NOT NULL THEN
                SELECT least(room, q.job_limit - count(*)) INTO room FROM queue.job j WHERE j.state = 1 AND j.queue = one;
            END IF;
            IF q.group_id IS NOT NULL THEN
                SELECT least(room, g.job_limit - (
                    SELECT sum((SELECT count(*) FROM queue.job j WHERE j.state = 1 AND j.queue = m.id))
                    FROM queue.queue m WHERE m.group_id = g.id
                )) INTO room FROM queue.queue_group g WHERE g.id = q.group_id;
            END IF;
            CONTINUE WHEN room <= 0;
            is_full := room < left_over;
            is_throttled := EXISTS (
                SELECT FROM queue.limit_class c WHERE c.queue = one AND c.throttle_starts IS NOT NULL
            );
            is_plain := NOT is_throttled AND NOT EXISTS (SELECT FROM queue.key_override o WHERE o.queue = one);
            is_mended := q.unparked_at > now_ms - mended_ms;
            -- Of the starts that this claim may make, those whose number `starved_every` divides.
            share := (q.starts % starved_every + room) / starved_every;
            seen := NULL;
            FOR nth IN 0..rounds_max LOOP
                EXIT WHEN room <= 0;
                IF nth > 0 THEN
                    SELECT l.* INTO seen
                    FROM queue.look(
                        one, room + CASE WHEN nth = 1 THEN 1 ELSE look_extra END, room, is_plain, is_mended, now_ms
                    ) l;
                ELSE
                    CONTINUE WHEN share = 0 OR q.resumed_at > now_ms - max_wait_ms;
                    SELECT s.*, true AS more INTO seen FROM queue.starved(one, now_ms - max_wait_ms, share, now_ms) s;
                END IF;
                starting := seen.starting;
                parking := seen.parking;
                IF parking.tids IS NOT NULL THEN
                    UPDATE queue.job j SET state = 3 WHERE j.ctid = ANY (parking.tids);
                    parked_queues := parked_queues || array_fill(one, ARRAY[cardinality(parking.keys)]);
                    parked_keys := parked_keys || parking.keys;
                END IF;
                IF starting.tids IS NOT NULL THEN
                    PERFORM queue.lease(one, starting, with_token, to_worker, now_ms, now_ms + lease_ms);
                    ids := ids || starting.ids;
                    leased_queues := leased_queues || array_fill(one, ARRAY[cardinality(starting.ids)]);
                    room := room - cardinality(starting.ids);
                    left_over := left_over - cardinality(starting.ids);
                END IF;
                IF is_throttled THEN
                    PERFORM queue.watch(one, starting.keys || parking.keys, starting.classes || parking.classes, now_ms);
                END IF;
                EXIT WHEN NOT seen.more;
            END LOOP;
            -- Whatever is ready, a full queue starts nothing.
            more := more OR (coalesce(seen.more, false) AND (room > 0 OR NOT is_full));
            IF left_over <= 0 THEN
                more := true;
                EXIT;
            END IF;
        END LOOP;
        IF cardinality(ids) > 0 THEN
            INSERT INTO queue.claimed (token, check_at, held, ids)
            VALUES (with_token, now_ms + lease_ms, cardinality(ids), ids);
        END IF;
        PERFORM queue.count_moves(
            leased_queues || parked_queues,
            array_fill(2::smallint, ARRAY[cardinality(leased_queues) + cardinality(parked_queues)]),
            array_fill(1::smallint, ARRAY[cardinality(leased_queues)])
                || array_fill(3::smallint, ARRAY[cardinality(parked_queues)])
        );
        IF cardinality(parked_keys) > 0 THEN
            SELECT array_agg(d.queue), array_agg(d.key) INTO parked_queues, parked_keys
            FROM (SELECT DISTINCT u.queue, u.key FROM unnest(parked_queues, parked_keys) u(queue, key)) d;
        END IF;
    END IF;
    next_due_in_ms := queue.next_wake(queues, now_ms);
END $$;

-- Whether a job is ready in any queue. The counts say so sooner than the index where one is: see queue.claim.
CREATE FUNCTION queue.is_any_ready() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM queue.tune();
    RETURN EXISTS (
        SELECT FROM queue.queue q WHERE NOT q.paused AND (SELECT sum(d.ready) > 0 FROM queue.depth d WHERE d.queue = q.id)
    ) OR EXISTS (
        SELECT FROM queue.queue q CROSS JOIN LATERAL (
            SELECT FROM queue.job j WHERE j.state = 2 AND j.queue = q.id ORDER BY j.priority DESC, j.pass, j.arrival LIMIT 1
        ) ready
        WHERE NOT q.paused
    );
END $$;

-- Extends leases; answers those that are held, with the request to stop if there is one. No start depends on it, so that
-- it needs no queue's lock.
CREATE FUNCTION queue.renew(jobs uuid[], tokens uuid[], extend_ms bigint)
RETURNS TABLE (job uuid, token uuid, cancel smallint) LANGUAGE plpgsql AS $$
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
RETURNS void LANGUAGE plpgsql AS $$
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

-- Completes leased jobs: nearly all that workers settle, and therefore in one statement. The keys that they leave.
CREATE FUNCTION queue.complete(
    jobs uuid[], tokens uuid[], now_ms bigint, OUT of_queues integer[], OUT of_keys text[], OUT version_queues integer[],
    OUT versions text[]
) LANGUAGE plpgsql AS $$
DECLARE
    of_tokens uuid[]; with_steps uuid[]; of_unique uuid[]; unique_queues integer[]; unique_keys text[]; uniques_ms bigint[];
BEGIN
    WITH gone AS (
        DELETE FROM queue.job j USING unnest(jobs, tokens) u(job, token) WHERE j.id = u.job AND j.token = u.token
        RETURNING j.*
    ), kept AS (
        INSERT INTO queue.history (
            id, created_at, finished_at, timeout_ms, attempt, max_attempts, crashes, queue, state, priority, weight,
            reason, unique_ms, leased_at, settled, kind, key, class, unique_key, supersede_key, version_at, version_id,
            trace_parent, payload
        )
        SELECT g.id, g.created_at, now_ms, g.timeout_ms, g.attempt, g.max_attempts, g.crashes, g.queue, 4, g.priority,
               g.weight, NULL, g.unique_ms, g.leased_at, g.token, g.kind, g.key, g.class, g.unique_key, g.supersede_key,
               g.version_at, g.version_id, g.trace_parent, g.payload
        FROM gone g
    )
    SELECT array_agg(g.token), array_agg(g.queue), array_agg(g.key), array_agg(g.id) FILTER (WHERE g.has_steps),
           array_agg(g.queue) FILTER (WHERE g.supersede_key IS NOT NULL),
           array_agg(g.supersede_key) FILTER (WHERE g.supersede_key IS NOT NULL),
           array_agg(g.id) FILTER (WHERE g.unique_key IS NOT NULL),
           array_agg(g.queue) FILTER (WHERE g.unique_key IS NOT NULL),
           array_agg(g.unique_key) FILTER (WHERE g.unique_key IS NOT NULL),
           array_agg(g.unique_ms) FILTER (WHERE g.unique_key IS NOT NULL)
    INTO of_tokens, of_queues, of_keys, with_steps, version_queues, versions, of_unique, unique_queues, unique_keys, uniques_ms
    FROM gone g;
    IF of_queues IS NULL THEN
        RETURN;
    END IF;
    PERFORM queue.let_go(of_tokens);
    IF with_steps IS NOT NULL THEN
        DELETE FROM queue.checkpoint c WHERE c.job = ANY (with_steps);
    END IF;
    IF of_unique IS NOT NULL THEN
        -- The key stays taken until its window ends.
        UPDATE queue.unique_key k SET until = now_ms + u.unique_ms
        FROM unnest(unique_queues, unique_keys, of_unique, uniques_ms) u(queue, unique_key, job, unique_ms)
        WHERE k.queue = u.queue AND k.key = u.unique_key AND k.job = u.job;
    END IF;
    PERFORM queue.count_moves(of_queues, array_fill(1::smallint, ARRAY[cardinality(of_queues)]), NULL);
END $$;

-- Ends leases otherwise. The keys that they leave, with 0 for a released job, which keeps its room, and whether any job is ready
-- again. See queue.settle.
CREATE FUNCTION queue.settle_others(
    jobs uuid[], tokens uuid[], actions smallint[], reasons smallint[], delays_ms bigint[], more_attempts bigint[],
    more_crashes bigint[], error_attempts bigint[], error_kinds smallint[], error_messages text[], now_ms bigint,
    OUT of_queues integer[], OUT of_keys text[], OUT freed integer[], OUT version_queues integer[], OUT versions text[],
    OUT woke boolean
) LANGUAGE plpgsql AS $$
DECLARE
    ending queue.ending[]; of_tokens uuid[]; failed uuid[]; attempts bigint[]; kinds smallint[]; messages text[];
BEGIN
    WITH held AS MATERIALIZED (
        SELECT s.* FROM queue.job s
        WHERE s.id = ANY (jobs) AND s.token = ANY (tokens) ORDER BY s.id FOR UPDATE
    ), live AS MATERIALIZED (
        SELECT a.*, j.*, CASE
                -- A job that was told to stop is not run again, however its attempt ended, its worker's death included.
                WHEN a.action = 5 OR j.cancel IS NOT NULL THEN 6
                WHEN a.action = 3 THEN 5
                WHEN a.action = 2 THEN 0
                ELSE 2
            END::smallint AS ends_as
        FROM (
            SELECT u.*, row_number() OVER (PARTITION BY u.job, u.with_token ORDER BY u.nth) AS nth_of_job
            FROM unnest(jobs, tokens, actions, reasons, delays_ms, more_attempts, more_crashes, error_attempts, error_kinds,
                        error_messages)
                WITH ORDINALITY u(job, with_token, action, because, delay_ms, more_attempts, more_crashes, error_attempt,
                                  error_kind, error_message, nth)
        ) a JOIN held j ON j.id = a.job AND j.token = a.with_token
        WHERE a.action <> 1 AND a.nth_of_job = 1
    )
    SELECT array_agg(ROW(
               l.id, l.queue, l.key, 1, l.ends_as, CASE WHEN l.ends_as = 6 AND l.action <> 5 THEN l.cancel ELSE l.because END,
               CASE WHEN l.ends_as = 0 THEN now_ms + l.delay_ms END,
               l.attempt + CASE WHEN l.ends_as = 6 THEN 0 ELSE l.more_attempts END, l.crashes + l.more_crashes,
               l.unique_key, l.unique_ms
           )::queue.ending),
           array_agg(l.token),
           array_agg(l.job) FILTER (WHERE l.error_kind IS NOT NULL),
           array_agg(l.error_attempt) FILTER (WHERE l.error_kind IS NOT NULL),
           array_agg(l.error_kind) FILTER (WHERE l.error_kind IS NOT NULL),
           array_agg(l.error_message) FILTER (WHERE l.error_kind IS NOT NULL),
           array_agg(l.queue), array_agg(l.key), array_agg((l.ends_as <> 2)::integer),
           array_agg(l.queue) FILTER (WHERE l.supersede_key IS NOT NULL),
           array_agg(l.supersede_key) FILTER (WHERE l.supersede_key IS NOT NULL), coalesce(bool_or(l.ends_as = 2), false)
    INTO ending, of_tokens, failed, attempts, kinds, messages, of_queues, of_keys, freed, version_queues, versions, woke
    FROM live l;
    IF ending IS NULL THEN
        RETURN;
    END IF;
    PERFORM queue.let_go(of_tokens);
    IF failed IS NOT NULL THEN
        PERFORM queue.add_errors(failed, attempts, kinds, messages, now_ms);
    END IF;
    PERFORM queue.finish(ending, now_ms);
END $$;

-- Ends leases. Actions: 1 complete, 2 retry, 3 bury, 4 release, 5 cancel. Answers for each in order whether it holds; the
-- keys that have room now, and for how many jobs (0: for none but a better one), and the supersede keys of which a job has ended: what is parked of them is to
-- be looked at after the commit, by queue.fill.
CREATE FUNCTION queue.settle(
    jobs uuid[], tokens uuid[], actions smallint[], reasons smallint[], delays_ms bigint[], more_attempts bigint[],
    more_crashes bigint[], error_attempts bigint[], error_kinds smallint[], error_messages text[],
    OUT answers boolean[], OUT woke boolean, OUT freed_queues integer[], OUT freed_keys text[], OUT freed integer[],
    OUT version_queues integer[], OUT versions text[]
) LANGUAGE plpgsql AS $$
DECLARE
    now_ms bigint := queue.enter('{}'); completed integer; done_jobs uuid[]; done_tokens uuid[]; left_queues integer[];
    left_keys text[]; left_counts integer[]; others record;
BEGIN
    -- In one order for all callers, so that no two wait for each other.
    SELECT array_agg(u.job ORDER BY u.job), array_agg(u.token ORDER BY u.job) INTO done_jobs, done_tokens
    FROM unnest(jobs, tokens, actions) u(job, token, action) WHERE u.action = 1;
    IF done_jobs IS NOT NULL THEN
        SELECT c.of_queues, c.of_keys, c.version_queues, c.versions INTO left_queues, left_keys, version_queues, versions
        FROM queue.complete(done_jobs, done_tokens, now_ms) c;
    END IF;
    completed := coalesce(cardinality(left_queues), 0);
    left_counts := array_fill(1, ARRAY[completed]);
    woke := false;
    IF coalesce(cardinality(done_jobs), 0) < cardinality(jobs) THEN
        SELECT o.* INTO others FROM queue.settle_others(
            jobs, tokens, actions, reasons, delays_ms, more_attempts, more_crashes, error_attempts, error_kinds,
            error_messages, now_ms
        ) o;
        woke := coalesce(others.woke, false);
        left_queues := left_queues || others.of_queues;
        left_keys := left_keys || others.of_keys;
        left_counts := left_counts || others.freed;
        version_queues := version_queues || others.version_queues;
        versions := versions || others.versions;
    END IF;
    IF completed = cardinality(jobs) THEN
        answers := array_fill(true, ARRAY[completed]);
    ELSE
        -- What holds has left its token behind, and so has what a call before this one has settled.
        answers := ARRAY(
            SELECT coalesce(coalesce(
                (SELECT j.settled FROM queue.job j WHERE j.id = u.job),
                (SELECT h.settled FROM queue.history h WHERE h.id = u.job)
            ) = u.token, false)
            FROM unnest(jobs, tokens) WITH ORDINALITY u(job, token, nth) ORDER BY u.nth
        );
    END IF;
    -- Who has found a queue or its group full is to ask again.
    woke := woke OR coalesce((
        SELECT bool_or(coalesce((
            SELECT count(*) FROM queue.job j WHERE j.state = 1 AND j.queue = e.queue
        ) + e.jobs >= q.job_limit, false) OR coalesce((
            SELECT sum((SELECT count(*) FROM queue.job j WHERE j.state = 1 AND j.queue = m.id)) + e.jobs >= g.job_limit
            FROM queue.queue_group g JOIN queue.queue m ON m.group_id = g.id WHERE g.id = q.group_id GROUP BY g.job_limit
        ), false))
        FROM (SELECT u AS queue, count(*) AS jobs FROM unnest(left_queues) u GROUP BY u) e
        JOIN queue.queue q ON q.id = e.queue
        WHERE q.job_limit IS NOT NULL OR q.group_id IS NOT NULL
    ), false);
    SELECT array_agg(f.queue), array_agg(f.key), array_agg(f.jobs) INTO freed_queues, freed_keys, freed
    FROM (
        SELECT u.queue, u.key, sum(u.jobs)::integer AS jobs FROM unnest(left_queues, left_keys, left_counts) u(queue, key, jobs)
        WHERE u.key <> '' GROUP BY u.queue, u.key
    ) f;
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
    UPDATE queue.job j SET has_steps = true WHERE j.id = of_job AND NOT j.has_steps;
    RETURN 1;
END $$;

-- Takes over expired leases under a new token. A repeated call answers what the first has taken over.
CREATE FUNCTION queue.reap(with_token uuid, to_worker text, lease_ms bigint, most integer) RETURNS uuid[]
LANGUAGE plpgsql AS $$
DECLARE
    -- Claims that one call looks into, each of some hundred jobs at most.
    claims_max CONSTANT integer := 50;
    now_ms bigint := queue.enter('{}'); ids uuid[]; past record; taken uuid[];
BEGIN
    ids := (SELECT c.ids FROM queue.claimed c WHERE c.token = with_token);
    IF ids IS NOT NULL THEN
        RETURN ids;
    END IF;
    ids := '{}';
    FOR past IN
        -- Not locked: who settles has the jobs first, and then the claim.
        SELECT c.token, c.ids FROM queue.claimed c WHERE c.check_at <= now_ms ORDER BY c.check_at LIMIT claims_max
    LOOP
        EXIT WHEN cardinality(ids) >= most;
        -- A renewal that came first has its lease back.
        WITH expired AS MATERIALIZED (
            SELECT s.id FROM queue.job s
            WHERE s.id = ANY (past.ids) AND s.token = past.token AND s.expires_at <= now_ms
            ORDER BY s.id LIMIT most - cardinality(ids) FOR UPDATE
        ), moved AS (
            UPDATE queue.job j
            SET token = with_token, worker = to_worker, leased_at = now_ms, expires_at = now_ms + lease_ms
            FROM expired e WHERE j.id = e.id
            RETURNING j.id
        )
        SELECT array_agg(m.id) INTO taken FROM moved m;
        IF taken IS NOT NULL THEN
            ids := ids || taken;
        END IF;
        UPDATE queue.claimed c SET check_at = coalesce((
            SELECT min(s.expires_at) FROM queue.job s WHERE s.id = ANY (past.ids) AND s.token = past.token
        ), c.check_at) WHERE c.token = past.token;
        IF taken IS NOT NULL THEN
            PERFORM queue.let_go(array_fill(past.token, ARRAY[cardinality(taken)]));
        END IF;
    END LOOP;
    IF cardinality(ids) > 0 THEN
        INSERT INTO queue.claimed (token, check_at, held, ids) VALUES (with_token, now_ms + lease_ms, cardinality(ids), ids);
    END IF;
    RETURN ids;
END $$;
