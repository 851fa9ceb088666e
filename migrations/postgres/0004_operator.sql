-- Maintenance and the operator's commands.

-- Moves up to so many due jobs of all queues; how many, and whether any became ready.
CREATE FUNCTION queue.move_due(most integer, OUT moved integer, OUT woke boolean)
LANGUAGE plpgsql AS $$
DECLARE
    queues integer[] := ARRAY(SELECT q.id FROM queue.queue q ORDER BY q.id); one integer; now_ms bigint; ids uuid[];
BEGIN
    now_ms := queue.enter(queues);
    moved := 0;
    woke := false;
    FOREACH one IN ARRAY queues LOOP
        EXIT WHEN moved >= most;
        ids := ARRAY(
            SELECT j.id FROM queue.job j WHERE j.state = 0 AND j.queue = one AND j.run_at <= now_ms
            ORDER BY j.run_at, j.id LIMIT most - moved
        );
        moved := moved + cardinality(ids);
        woke := queue.place_due(ids, now_ms) OR woke;
    END LOOP;
END $$;

-- Gives room to the parked jobs of the first such keys of a queue after a key, hopping from key to key along the index: how many
-- became ready, how many keys were looked at, and which was the last.
CREATE FUNCTION queue.sweep(
    of_queue integer, after text, keys_max integer, per_key integer, OUT freed bigint, OUT seen integer, OUT last text
) LANGUAGE plpgsql AS $$
DECLARE
    now_ms bigint; keys text[];
BEGIN
    now_ms := queue.enter(ARRAY[of_queue]);
    IF after = '' THEN
        -- Jobs without a key wait for older versions of them alone.
        PERFORM queue.unpark(ARRAY[of_queue], ARRAY[''], ARRAY[per_key], true, now_ms);
    END IF;
    WITH RECURSIVE hop(key, n) AS (
        SELECT (SELECT j.key FROM queue.job j WHERE j.state = 3 AND j.queue = of_queue AND j.key > after ORDER BY j.key LIMIT 1), 1
        UNION ALL
        SELECT (SELECT j.key FROM queue.job j WHERE j.state = 3 AND j.queue = of_queue AND j.key > h.key ORDER BY j.key LIMIT 1), h.n + 1
        FROM hop h WHERE h.key IS NOT NULL AND h.n < keys_max
    )
    SELECT array_agg(h.key ORDER BY h.n), count(*), max(h.key) INTO keys, seen, last FROM hop h WHERE h.key IS NOT NULL;
    freed := CASE WHEN seen = 0 THEN 0 ELSE queue.unpark(
        array_fill(of_queue, ARRAY[seen]), keys, array_fill(per_key, ARRAY[seen]), true, now_ms
    ) END;
END $$;

CREATE FUNCTION queue.fill_key(of_queue integer, of_key text, most integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    now_ms bigint := queue.enter(ARRAY[of_queue]);
BEGIN
    RETURN queue.unpark(ARRAY[of_queue], ARRAY[of_key], ARRAY[most], true, now_ms);
END $$;

CREATE FUNCTION queue.expire_unique(most integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    now_ms bigint := queue.enter('{}'); gone bigint;
BEGIN
    WITH ended AS MATERIALIZED (
        SELECT k.ctid AS at FROM queue.unique_key k
        WHERE k.until IS NOT NULL AND k.until <= now_ms ORDER BY k.until LIMIT most FOR UPDATE SKIP LOCKED
    )
    DELETE FROM queue.unique_key k WHERE k.ctid = ANY (ARRAY(SELECT e.at FROM ended e));
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;

CREATE FUNCTION queue.define_queue(of_name text, new_limit bigint) RETURNS void LANGUAGE sql VOLATILE AS $$
    INSERT INTO queue.queue (name, job_limit) VALUES (of_name, new_limit)
    ON CONFLICT (name) DO UPDATE SET job_limit = excluded.job_limit
$$;

-- Applies a limit of the configuration, of a queue or its class: where it is the one that was applied last, what an operator
-- has set since holds. A queue that is not there is made. Whether the limit has changed.
CREATE FUNCTION queue.configure_limit(of_name text, of_class text, new_limit bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    of_queue integer; new_configured CONSTANT bigint := coalesce(new_limit, -1);
BEGIN
    INSERT INTO queue.queue (name) VALUES (of_name) ON CONFLICT (name) DO NOTHING;
    of_queue := (SELECT q.id FROM queue.queue q WHERE q.name = of_name);
    PERFORM queue.enter(ARRAY[of_queue]);
    IF of_class IS NULL THEN
        UPDATE queue.queue q SET job_limit = new_limit, configured = new_configured
        WHERE q.id = of_queue AND q.configured IS DISTINCT FROM new_configured;
    ELSE
        INSERT INTO queue.limit_class AS c (queue, class, job_limit, configured)
        VALUES (of_queue, of_class, new_limit, new_configured)
        ON CONFLICT (queue, class) DO UPDATE SET job_limit = new_limit, configured = new_configured
        WHERE c.configured IS DISTINCT FROM new_configured;
    END IF;
    RETURN FOUND;
END $$;

-- Sets the limit of a queue (no class, no key), a class or a key. Claims wait for it, and see it.
CREATE FUNCTION queue.set_limit(of_queue integer, of_class text, of_key text, new_limit bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM queue.enter(ARRAY[of_queue]);
    IF of_class IS NOT NULL THEN
        INSERT INTO queue.limit_class (queue, class, job_limit) VALUES (of_queue, of_class, new_limit)
        ON CONFLICT (queue, class) DO UPDATE SET job_limit = excluded.job_limit;
    ELSIF of_key IS NOT NULL THEN
        INSERT INTO queue.key_override (queue, key, job_limit) VALUES (of_queue, of_key, new_limit)
        ON CONFLICT (queue, key) DO UPDATE SET job_limit = excluded.job_limit;
        DELETE FROM queue.key_override o
        WHERE o.queue = of_queue AND o.key = of_key AND o.job_limit IS NULL AND NOT o.paused;
    ELSE
        UPDATE queue.queue q SET job_limit = new_limit WHERE q.id = of_queue;
    END IF;
END $$;

-- Pauses or resumes a queue (no key) or a key. The time of a pause does not count as waiting.
CREATE FUNCTION queue.set_paused(of_queue integer, of_key text, pausing boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    now_ms bigint := queue.enter(ARRAY[of_queue]);
BEGIN
    IF of_key IS NULL THEN
        UPDATE queue.queue q
        SET paused = pausing, resumed_at = CASE WHEN q.paused AND NOT pausing THEN now_ms ELSE q.resumed_at END
        WHERE q.id = of_queue;
        RETURN;
    END IF;
    INSERT INTO queue.key_override (queue, key, paused) VALUES (of_queue, of_key, pausing)
    ON CONFLICT (queue, key) DO UPDATE SET paused = excluded.paused;
    DELETE FROM queue.key_override o
    WHERE o.queue = of_queue AND o.key = of_key AND o.job_limit IS NULL AND NOT o.paused;
    IF NOT pausing THEN
        UPDATE queue.job j SET ready_at = now_ms WHERE j.ctid = ANY (ARRAY(
            SELECT w.ctid FROM queue.job w WHERE w.queue = of_queue AND w.key = of_key AND w.state = 2
            ORDER BY w.priority DESC, w.arrival
        ));
    END IF;
END $$;

-- Cancels a waiting job, and asks the worker of a running one to stop; the first reason stands. Whether any became ready.
CREATE FUNCTION queue.cancel(of_job uuid, with_reason smallint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    now_ms bigint; found_job queue.job;
BEGIN
    now_ms := queue.enter(ARRAY[(SELECT j.queue FROM queue.job j WHERE j.id = of_job)]);
    SELECT j.* INTO found_job FROM queue.job j WHERE j.id = of_job FOR UPDATE;
    IF found_job.id IS NULL THEN
        RETURN false;
    END IF;
    IF found_job.state = 1 THEN
        UPDATE queue.job j SET cancel = coalesce(j.cancel, with_reason) WHERE j.id = of_job;
        RETURN false;
    END IF;
    PERFORM queue.finish(ARRAY[ROW(
        of_job, found_job.queue, found_job.key, found_job.state, 6, with_reason, NULL, found_job.attempt,
        found_job.crashes, found_job.unique_key, found_job.unique_ms
    )::queue.ending], now_ms);
    -- A ready job held room that the next of its key gets.
    RETURN found_job.key <> ''
        AND queue.unpark(ARRAY[found_job.queue], ARRAY[found_job.key], ARRAY[1], true, now_ms) > 0;
END $$;

-- Brings finished jobs back with a fresh budget, as scheduled for now, as far as they get their unique keys; which.
CREATE FUNCTION queue.revive(ids uuid[], now_ms bigint) RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE
    free uuid[]; queues integer[]; froms smallint[];
BEGIN
    WITH asked AS MATERIALIZED (
        SELECT h.id, h.queue, h.unique_key, h.supersede_key FROM queue.history h WHERE h.id = ANY (ids)
    ), taken AS (
        INSERT INTO queue.unique_key AS k (queue, key, job, supersede_key)
        SELECT DISTINCT ON (a.queue, a.unique_key) a.queue, a.unique_key, a.id, a.supersede_key FROM asked a
        WHERE a.unique_key IS NOT NULL ORDER BY a.queue, a.unique_key, a.id
        -- An older version leaves its key to a newer one.
        ON CONFLICT (queue, key) DO UPDATE SET job = excluded.job, until = NULL, supersede_key = excluded.supersede_key
        WHERE k.until <= now_ms OR k.supersede_key = excluded.supersede_key
        RETURNING job
    )
    SELECT array_agg(f.id ORDER BY f.id) INTO free
    FROM (SELECT a.id FROM asked a WHERE a.unique_key IS NULL UNION ALL SELECT t.job FROM taken t) f;
    WITH gone AS (DELETE FROM queue.history h WHERE h.id = ANY (free) RETURNING h.*),
    back AS (
        INSERT INTO queue.job (
            id, pass, arrival, created_at, timeout_ms, attempt, max_attempts, crashes, queue, state, priority, weight,
            run_at, unique_ms, settled, has_steps, kind, key, class, unique_key, supersede_key, version_at,
            version_id, trace_parent, payload
        )
        SELECT g.id, 0, 0, g.created_at, g.timeout_ms, 1, g.max_attempts, 0, g.queue, 0, g.priority, g.weight, now_ms,
               g.unique_ms, g.settled, (SELECT true FROM queue.checkpoint c WHERE c.job = g.id LIMIT 1) IS NOT NULL, g.kind,
               g.key, g.class, g.unique_key, g.supersede_key, g.version_at, g.version_id, g.trace_parent, g.payload
        FROM gone g
    )
    SELECT array_agg(g.queue), array_agg(g.state) INTO queues, froms FROM gone g;
    INSERT INTO queue.version AS v (queue, key, at, id, job, forget_at)
    SELECT DISTINCT ON (j.queue, j.supersede_key)
           j.queue, j.supersede_key, j.version_at, j.version_id, j.id, now_ms + queue.versions_kept_ms()
    FROM unnest(free) u(id) CROSS JOIN LATERAL (SELECT w.* FROM queue.job w WHERE w.id = u.id OFFSET 0) j
    WHERE j.supersede_key IS NOT NULL ORDER BY j.queue, j.supersede_key, j.version_at DESC, j.id DESC
    ON CONFLICT (queue, key) DO UPDATE SET
        at = excluded.at, id = excluded.id, job = excluded.job, forget_at = excluded.forget_at;
    PERFORM queue.count_moves(queues, froms, array_fill(0::smallint, ARRAY[coalesce(cardinality(queues), 0)]));
    RETURN coalesce(free, '{}');
END $$;

-- Starts a scheduled job now, and a dead or cancelled one anew: 0 done, 1 no such job, 2 not to be retried in its state,
-- 3 its unique key is taken by a holder, 4 it is superseded by one.
CREATE FUNCTION queue.retry(of_job uuid, OUT answer smallint, OUT state smallint, OUT holder uuid, OUT woke boolean)
LANGUAGE plpgsql AS $$
DECLARE
    now_ms bigint; of_queue integer; of_unique text;
BEGIN
    woke := false;
    SELECT v.queue INTO of_queue FROM (
        SELECT j.queue FROM queue.job j WHERE j.id = of_job
        UNION ALL SELECT h.queue FROM queue.history h WHERE h.id = of_job
    ) v;
    now_ms := queue.enter(ARRAY[of_queue]);
    SELECT v.state, v.unique_key INTO state, of_unique FROM (
        SELECT j.state, j.unique_key FROM queue.job j WHERE j.id = of_job
        UNION ALL SELECT h.state, h.unique_key FROM queue.history h WHERE h.id = of_job
    ) v;
    answer := CASE WHEN state IS NULL THEN 1 WHEN state IN (1, 4) THEN 2 ELSE 0 END;
    IF answer > 0 OR state IN (2, 3) THEN
        RETURN;
    END IF;
    IF state IN (5, 6) THEN
        holder := (SELECT v.job FROM queue.history h JOIN queue.version v ON v.queue = h.queue AND v.key = h.supersede_key
                   WHERE h.id = of_job AND v.job <> h.id);
        IF holder IS NOT NULL THEN
            answer := 4;
            RETURN;
        END IF;
    END IF;
    IF state IN (5, 6) AND cardinality(queue.revive(ARRAY[of_job], now_ms)) = 0 THEN
        answer := 3;
        SELECT k.job INTO holder FROM queue.unique_key k WHERE k.queue = of_queue AND k.key = of_unique;
        RETURN;
    END IF;
    woke := queue.place_due(ARRAY[of_job], now_ms);
END $$;

-- Replays dead letters of a queue or of all, oldest first, or counts them: how many, and whether more are left. Those whose
-- unique key is taken or that a newer version has superseded stay dead; of several with one unique key the oldest is replayed,
-- and of several versions the newest. (Versions meet here once the newest has been forgotten.)
CREATE FUNCTION queue.replay(
    of_queue integer, of_kind text, of_key text, of_reason smallint, after_ms bigint, before_ms bigint, most integer,
    only_count boolean, OUT replayed integer, OUT more boolean, OUT woke boolean
) LANGUAGE plpgsql AS $$
DECLARE
    queues integer[] := ARRAY(SELECT q.id FROM queue.queue q WHERE of_queue IS NULL OR q.id = of_queue ORDER BY q.id);
    one integer; now_ms bigint; ids uuid[]; seen integer; looked_at integer := 0;
BEGIN
    now_ms := queue.enter(CASE WHEN only_count THEN '{}' ELSE queues END);
    replayed := 0;
    more := false;
    woke := false;
    FOREACH one IN ARRAY queues LOOP
        WITH dead AS MATERIALIZED (
            SELECT h.id, h.unique_key, h.supersede_key, h.version_at FROM queue.history h
            WHERE h.state = 5 AND h.queue = one AND (of_kind IS NULL OR h.kind = of_kind)
              AND (of_key IS NULL OR h.key = of_key) AND (of_reason IS NULL OR h.reason = of_reason)
              AND (after_ms IS NULL OR h.finished_at >= after_ms) AND (before_ms IS NULL OR h.finished_at < before_ms)
              AND (h.unique_key IS NULL OR (
                  SELECT k.job FROM queue.unique_key k
                  WHERE k.queue = one AND k.key = h.unique_key AND (k.until IS NULL OR k.until > now_ms)
                    AND NOT coalesce(k.supersede_key = h.supersede_key, false)
              ) IS NULL)
              AND (h.supersede_key IS NULL OR (
                  SELECT v.job FROM queue.version v WHERE v.queue = one AND v.key = h.supersede_key AND v.job <> h.id
              ) IS NULL)
            ORDER BY h.id LIMIT most - looked_at + 1
        ), wanted AS MATERIALIZED (
            SELECT d.* FROM dead d ORDER BY d.id LIMIT most - looked_at
        ), newest AS MATERIALIZED (
            SELECT w.*, row_number() OVER (
                PARTITION BY coalesce(w.supersede_key, w.id::text), w.supersede_key IS NULL ORDER BY w.version_at DESC, w.id DESC
            ) AS of_version
            FROM wanted w
        ), numbered AS (
            SELECT n.*, row_number() OVER (
                PARTITION BY coalesce(n.unique_key, n.id::text), n.unique_key IS NULL ORDER BY n.id
            ) AS of_key
            FROM newest n WHERE n.of_version = 1
        )
        SELECT (SELECT count(*) FROM dead), (SELECT array_agg(n.id ORDER BY n.id) FROM numbered n WHERE n.of_key = 1)
        INTO seen, ids;
        more := more OR seen > most - looked_at;
        looked_at := least(most, looked_at + seen);
        IF only_count THEN
            replayed := looked_at;
        ELSIF ids IS NOT NULL THEN
            ids := queue.revive(ids, now_ms);
            woke := queue.place_due(ids, now_ms) OR woke;
            replayed := replayed + cardinality(ids);
        END IF;
    END LOOP;
END $$;

-- Forgets finished jobs, or counts them, those that ended first going first: how many, and whether more are left. Dead ones go
-- only when their state is named.
CREATE FUNCTION queue.prune(
    of_queue integer, of_state smallint, of_kind text, of_key text, after_ms bigint, before_ms bigint, most integer,
    only_count boolean, OUT pruned integer, OUT more boolean
) LANGUAGE plpgsql AS $$
DECLARE
    one integer; ids uuid[] := '{}'; gone_queues integer[]; gone_states smallint[];
BEGIN
    PERFORM queue.enter('{}');
    IF of_state = 5 THEN
        FOR one IN SELECT q.id FROM queue.queue q WHERE of_queue IS NULL OR q.id = of_queue ORDER BY q.id LOOP
            ids := ids || ARRAY(
                SELECT h.id FROM queue.history h
                WHERE h.state = 5 AND h.queue = one AND (before_ms IS NULL OR h.finished_at < before_ms)
                  AND (after_ms IS NULL OR h.finished_at >= after_ms) AND (of_kind IS NULL OR h.kind = of_kind)
                  AND (of_key IS NULL OR h.key = of_key)
                ORDER BY h.id LIMIT most + 1 - cardinality(ids)
            );
        END LOOP;
    ELSE
        ids := ARRAY(
            SELECT h.id FROM queue.history h
            WHERE h.state <> 5 AND (before_ms IS NULL OR h.finished_at < before_ms)
              AND (after_ms IS NULL OR h.finished_at >= after_ms) AND (of_queue IS NULL OR h.queue = of_queue)
              AND (of_state IS NULL OR h.state = of_state) AND (of_kind IS NULL OR h.kind = of_kind)
              AND (of_key IS NULL OR h.key = of_key)
            ORDER BY h.finished_at LIMIT most + 1
        );
    END IF;
    more := cardinality(ids) > most;
    ids := ids[:most];
    pruned := cardinality(ids);
    IF only_count THEN
        RETURN;
    END IF;
    WITH gone AS (DELETE FROM queue.history h WHERE h.id = ANY (ids) RETURNING h.queue, h.state)
    SELECT array_agg(g.queue), array_agg(g.state), count(*) INTO gone_queues, gone_states, pruned FROM gone g;
    DELETE FROM queue.job_error e WHERE e.job = ANY (ids);
    DELETE FROM queue.checkpoint c WHERE c.job = ANY (ids);
    PERFORM queue.count_moves(gone_queues, gone_states, NULL);
END $$;

-- The first id of version 7 that a time makes.
CREATE FUNCTION queue.first_id(at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- Makes the history's partitions of this month and the two after it, and drops those of past months that are empty.
CREATE FUNCTION queue.turn_partitions() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    now_ms bigint := queue.enter('{}'); month timestamp; name text; past record; is_empty boolean;
BEGIN
    -- One at a time; who comes second has nothing left to do.
    IF NOT pg_try_advisory_xact_lock(1919316273, 0) THEN
        RETURN;
    END IF;
    FOR ahead IN 0..2 LOOP
        month := date_trunc('month', to_timestamp(now_ms / 1000) AT TIME ZONE 'UTC') + make_interval(months => ahead);
        name := 'history_' || to_char(month, 'YYYYMM');
        CONTINUE WHEN to_regclass('queue.' || name) IS NOT NULL;
        -- A month that has rows in the default partition already stays there.
        CONTINUE WHEN EXISTS (
            SELECT FROM queue.history_other h
            WHERE h.id >= queue.first_id(month AT TIME ZONE 'UTC')
              AND h.id < queue.first_id((month + interval '1 month') AT TIME ZONE 'UTC')
        );
        EXECUTE format('CREATE TABLE queue.%I PARTITION OF queue.history FOR VALUES FROM (%L) TO (%L)', name,
                       queue.first_id(month AT TIME ZONE 'UTC'),
                       queue.first_id((month + interval '1 month') AT TIME ZONE 'UTC'));
    END LOOP;
    FOR past IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'queue.history'::regclass AND c.relname ~ '^history_\d{6}$'
          AND c.relname < 'history_' || to_char(to_timestamp(now_ms / 1000) AT TIME ZONE 'UTC' - interval '1 month', 'YYYYMM')
    LOOP
        EXECUTE format('SELECT NOT EXISTS (SELECT FROM queue.%I)', past.relname) INTO is_empty;
        IF is_empty THEN
            EXECUTE format('LOCK TABLE queue.%I IN ACCESS EXCLUSIVE MODE', past.relname);
            EXECUTE format('SELECT NOT EXISTS (SELECT FROM queue.%I)', past.relname) INTO is_empty;
        END IF;
        IF is_empty THEN
            EXECUTE format('DROP TABLE queue.%I', past.relname);
        END IF;
    END LOOP;
END $$;
