-- Enqueues inside of a transaction that is an application's own. It ends when that application wants, and runs statements of
-- its own afterwards: these get back every setting that they had, and nobody else waits for what the jobs have counted.

-- A slot of queue.depth that no other open transaction counts in. The rows that the queue's own short transactions share are
-- not for one that may stay open: all others that count in the same row would wait for its end. There come to be as many
-- rows as such transactions have been open at once.
CREATE FUNCTION queue.own_slot() RETURNS smallint LANGUAGE plpgsql AS $$
BEGIN
    FOR slot IN 16..1039 LOOP
        -- "rfq2": the locks of queues have another first number.
        IF pg_try_advisory_xact_lock(1919316274, slot) THEN
            RETURN slot;
        END IF;
    END LOOP;
    RETURN pg_backend_pid() % 16;
END $$;

-- queue.enqueue in a transaction that goes on afterwards.
--
-- A SET clause gives its setting back when the function ends, whatever is set in between: all that queue.tune and queue.enter
-- set stands here, so that the caller's next statements are planned as before, and its commit waits for the disk as it would
-- have. The function runs with its owner's rights: a user of the database needs none but to call it.
CREATE FUNCTION queue.enqueue_in(
    ids uuid[], names text[], kinds text[], priorities smallint[], weights smallint[], keys text[], classes text[],
    run_ats bigint[], maxima bigint[], timeouts_ms bigint[], unique_keys text[], uniques_ms bigint[], payloads text[],
    trace_parents text[], run_at_max_ms bigint, supersede_keys text[], version_ats bigint[], version_ids text[],
    OUT answers smallint[], OUT holders uuid[], OUT woke boolean, OUT retry_in_ms bigint[], OUT parked_queues integer[],
    OUT parked_keys text[]
) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '5s'
SET idle_in_transaction_session_timeout = '5s'
SET plan_cache_mode = force_generic_plan
SET jit = off
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_sort = off
SET synchronous_commit = on
AS $$
DECLARE
    now_ms bigint := queue.queue_now();
    taken_by uuid[];
BEGIN
    PERFORM set_config('reviewfleet.slot', queue.own_slot()::text, true);
    -- Who finds a key taken locks its row, and the settlement of the job that has it would wait for the caller's commit. So
    -- keys that are seen to be taken are answered here, and asked for no more: a job without a queue takes none.
    IF cardinality(array_remove(unique_keys, NULL)) > 0 THEN
        taken_by := ARRAY(
            SELECT CASE WHEN u.unique_key IS NOT NULL AND u.supersede_key IS NULL
                    AND queue.fault_of(u.queue, u.class, u.run_at, run_at_max_ms, now_ms) = 0
                    AND (SELECT true FROM queue.job j WHERE j.id = u.id) IS NULL
                    AND (SELECT true FROM queue.history h WHERE h.id = u.id) IS NULL
                THEN (
                    SELECT k.job FROM queue.unique_key k
                    WHERE k.queue = u.queue AND k.key = u.unique_key AND (k.until IS NULL OR k.until > now_ms)
                ) END
            FROM (
                SELECT a.*, (SELECT q.id FROM queue.queue q WHERE q.name = a.name) AS queue
                FROM unnest(ids, names, classes, run_ats, unique_keys, supersede_keys)
                     WITH ORDINALITY a(id, name, class, run_at, unique_key, supersede_key, nth)
                OFFSET 0
            ) u
            ORDER BY u.nth
        );
        names := ARRAY(
            SELECT CASE WHEN u.holder IS NULL THEN u.name END
            FROM unnest(names, taken_by) WITH ORDINALITY u(name, holder, nth) ORDER BY u.nth
        );
    END IF;
    SELECT e.answers, e.holders, e.woke, e.retry_in_ms, e.parked_queues, e.parked_keys
    INTO answers, holders, woke, retry_in_ms, parked_queues, parked_keys
    FROM queue.enqueue(
        ids, names, kinds, priorities, weights, keys, classes, run_ats, maxima, timeouts_ms, unique_keys, uniques_ms, payloads,
        trace_parents, run_at_max_ms, supersede_keys, version_ats, version_ids
    ) e;
    IF cardinality(array_remove(taken_by, NULL)) > 0 THEN
        SELECT array_agg(CASE WHEN u.taken_by IS NULL THEN u.answer ELSE 1 END ORDER BY u.nth),
               array_agg(coalesce(u.taken_by, u.holder) ORDER BY u.nth)
        INTO answers, holders
        FROM unnest(answers, holders, taken_by) WITH ORDINALITY u(answer, holder, taken_by, nth);
    END IF;
    PERFORM set_config('reviewfleet.slot', '', true);
END $$;

-- What follows the commit of such a transaction: a second look at the keys whose jobs it has parked (see queue.fill), and the
-- wake-up, which nobody hears before what the look has made ready is there.
CREATE FUNCTION queue.announce(of_queues integer[], of_keys text[], most integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF cardinality(of_keys) > 0 THEN
        PERFORM queue.refill(of_queues, of_keys, most);
    END IF;
    PERFORM pg_notify('reviewfleet_queue', '');
END $$;

-- Both are for those whom the owner lets call them.
REVOKE ALL ON FUNCTION queue.enqueue_in, queue.announce FROM PUBLIC;
