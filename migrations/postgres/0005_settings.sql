-- Groups of queues, schedules, and when to look again.

-- How long until the first of what waits for a time in these queues: a scheduled job, a key that its throttle holds back, or a
-- schedule. NULL when nothing does.
CREATE FUNCTION queue.next_wake(queues integer[], now_ms bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT min(least(
        (SELECT j.run_at FROM queue.job j WHERE j.state = 0 AND j.queue = a.queue ORDER BY j.run_at, j.id LIMIT 1),
        (SELECT t.until FROM queue.throttled t WHERE t.queue = a.queue ORDER BY t.until LIMIT 1),
        (SELECT c.next_at FROM queue.cron c WHERE c.queue = a.queue AND c.next_at IS NOT NULL ORDER BY c.next_at LIMIT 1)
    )) - now_ms FROM unnest(queues) a(queue));
END $$;

-- Sets the throttle of a class, which becomes known by it. Claims wait for it, and see it.
CREATE FUNCTION queue.set_throttle(of_queue integer, of_class text, starts bigint, period_ms bigint, refuses boolean)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM queue.enter(ARRAY[of_queue]);
    INSERT INTO queue.limit_class (queue, class, throttle_starts, throttle_ms, throttle_refuses)
    VALUES (of_queue, of_class, starts, period_ms, refuses)
    ON CONFLICT (queue, class) DO UPDATE SET
        throttle_starts = excluded.throttle_starts, throttle_ms = excluded.throttle_ms,
        throttle_refuses = excluded.throttle_refuses;
END $$;

-- Makes these queues, and no others, those of a group; without queues it is dissolved. Answers a queue that is in another
-- group and that one's name, in which case nothing has changed.
CREATE FUNCTION queue.define_group(
    of_name text, queues integer[], new_limit bigint, OUT other_queue text, OUT other_group text
) LANGUAGE plpgsql AS $$
DECLARE
    of_group integer;
BEGIN
    -- Claims read who is in which group before they have their locks: those of all queues keep them out.
    PERFORM queue.enter(ARRAY(SELECT q.id FROM queue.queue q));
    SELECT q.name, g.name INTO other_queue, other_group
    FROM queue.queue q JOIN queue.queue_group g ON g.id = q.group_id
    WHERE q.id = ANY (queues) AND g.name <> of_name LIMIT 1;
    IF other_group IS NOT NULL THEN
        RETURN;
    END IF;
    INSERT INTO queue.queue_group AS g (name, job_limit) VALUES (of_name, new_limit)
    ON CONFLICT (name) DO UPDATE SET job_limit = excluded.job_limit RETURNING g.id INTO of_group;
    UPDATE queue.queue q SET group_id = CASE WHEN q.id = ANY (queues) THEN of_group END
    WHERE q.group_id = of_group OR q.id = ANY (queues);
    IF cardinality(queues) = 0 THEN
        DELETE FROM queue.queue_group g WHERE g.id = of_group;
    END IF;
END $$;

-- Stores a schedule: its next firing stays what it was when expression and time zone do. 0 stored, 1 unknown limit class,
-- 2 there are too many.
CREATE FUNCTION queue.set_cron(
    of_name text, new_expression text, new_zone text, of_queue integer, of_kind text, new_payload text, new_priority smallint,
    new_weight smallint, of_key text, of_class text, new_max_attempts bigint, new_timeout_ms bigint, new_next_at bigint,
    others_max bigint
) RETURNS smallint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM queue.enter('{}');
    IF of_class IS NOT NULL AND NOT EXISTS (
        SELECT FROM queue.limit_class c WHERE c.queue = of_queue AND c.class = of_class
    ) THEN
        RETURN 1;
    END IF;
    IF (SELECT count(*) FROM queue.cron c WHERE c.name <> of_name) >= others_max THEN
        RETURN 2;
    END IF;
    INSERT INTO queue.cron AS c (
        name, expression, zone, queue, kind, payload, priority, weight, key, class, max_attempts, timeout_ms, next_at
    ) VALUES (
        of_name, new_expression, new_zone, of_queue, of_kind, new_payload, new_priority, new_weight, of_key, of_class,
        new_max_attempts, new_timeout_ms, new_next_at
    )
    ON CONFLICT (name) DO UPDATE SET
        expression = excluded.expression, zone = excluded.zone, queue = excluded.queue, kind = excluded.kind,
        payload = excluded.payload, priority = excluded.priority, weight = excluded.weight, key = excluded.key,
        class = excluded.class, max_attempts = excluded.max_attempts, timeout_ms = excluded.timeout_ms,
        next_at = CASE WHEN c.expression = excluded.expression AND c.zone = excluded.zone THEN c.next_at
                  ELSE excluded.next_at END;
    RETURN 0;
END $$;

-- Forgets versions that have been kept long enough, of the first so many; those whose job is live are kept on. How many are
-- forgotten, and how many were looked at.
CREATE FUNCTION queue.expire_versions(most integer, OUT forgotten bigint, OUT looked_at bigint) LANGUAGE plpgsql AS $$
DECLARE
    now_ms bigint := queue.enter('{}');
BEGIN
    WITH old AS MATERIALIZED (
        SELECT v.queue, v.key, v.job FROM queue.version v
        WHERE v.forget_at <= now_ms ORDER BY v.forget_at LIMIT most FOR UPDATE SKIP LOCKED
    ), judged AS MATERIALIZED (
        SELECT o.*, (SELECT true FROM queue.job j WHERE j.id = o.job) IS NOT NULL AS is_live FROM old o
    ), kept AS (
        UPDATE queue.version v SET forget_at = now_ms + queue.versions_kept_ms() FROM judged u
        WHERE u.is_live AND v.queue = u.queue AND v.key = u.key
    ), gone AS (
        DELETE FROM queue.version v USING judged u WHERE NOT u.is_live AND v.queue = u.queue AND v.key = u.key
    )
    SELECT count(*) FILTER (WHERE NOT u.is_live), count(*) INTO forgotten, looked_at FROM judged u;
END $$;

-- Forgets starts that no throttle counts any more, at most so many. Those of a class whose throttle was taken away are kept for
-- the longest period that there may be, 30 days, lest it is set again.
CREATE FUNCTION queue.expire_starts(most integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    longest_ms CONSTANT bigint := 30 * 24 * 60 * 60 * 1000::bigint;
    now_ms bigint := queue.enter('{}'); gone bigint;
BEGIN
    DELETE FROM queue.throttle_start s WHERE s.ctid = ANY (ARRAY(
        SELECT o.at_row FROM queue.limit_class c CROSS JOIN LATERAL (
            SELECT t.ctid AS at_row FROM queue.throttle_start t
            WHERE t.queue = c.queue AND t.class = c.class AND t.at <= now_ms - coalesce(c.throttle_ms, longest_ms)
            ORDER BY t.queue, t.class, t.at LIMIT most
        ) o LIMIT most
    ));
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;
