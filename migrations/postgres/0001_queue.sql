-- The queue on Postgres, all in the schema "queue". Times are milliseconds of the Unix epoch by queue.queue_now().
--
-- States: 0 scheduled, 1 leased, 2 ready, 3 parked; in history: 4 completed, 5 dead, 6 cancelled.
-- A job without a concurrency key has the key '' and the class '', which no limit ever holds back.

-- The store's clock is the server's. Tests make it stand and move it; nobody else does.
CREATE TABLE queue.clock (
    singleton    boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    stands_at_ms bigint,
    offset_ms    bigint NOT NULL DEFAULT 0
);
INSERT INTO queue.clock DEFAULT VALUES;

CREATE TABLE queue.queue (
    id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text COLLATE "C" NOT NULL UNIQUE,
    job_limit  bigint,
    -- The limit that the configuration had when it was last applied; -1 for none. NULL: it never was.
    configured bigint,
    paused     boolean NOT NULL DEFAULT false,
    -- Waiting before this time does not count as starvation.
    resumed_at bigint  NOT NULL DEFAULT 0,
    group_id   integer,
    -- Starts so far: every tenth one may go to the longest-waiting key.
    starts     bigint  NOT NULL DEFAULT 0,
    -- When a parked job became ready, as of some seconds: see queue.mend.
    unparked_at bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- A class whose limit is NULL is known and unlimited. What was configured is as in queue.queue.
CREATE TABLE queue.limit_class (
    queue      integer NOT NULL,
    class      text COLLATE "C" NOT NULL,
    job_limit  bigint,
    configured bigint,
    -- At most so many starts of each key in a period; without a throttle NULL.
    throttle_starts  bigint,
    throttle_ms      bigint,
    throttle_refuses boolean NOT NULL DEFAULT false,
    PRIMARY KEY (queue, class)
);

-- What an operator has set for one key, over its class.
CREATE TABLE queue.key_override (
    queue     integer NOT NULL,
    key       text COLLATE "C" NOT NULL,
    job_limit bigint,
    paused    boolean NOT NULL DEFAULT false,
    PRIMARY KEY (queue, key)
);

-- The greatest pass leased so far; it never falls.
CREATE TABLE queue.turn (
    queue    integer  NOT NULL,
    priority smallint NOT NULL,
    v        bigint   NOT NULL,
    PRIMARY KEY (queue, priority)
) WITH (fillfactor = 50);

-- Order among the jobs of a key at equal priority.
CREATE SEQUENCE queue.arrival AS bigint CACHE 1;

-- Live jobs alone.
CREATE TABLE queue.job (
    id           uuid     NOT NULL PRIMARY KEY,
    pass         bigint   NOT NULL,
    arrival      bigint   NOT NULL,
    created_at   bigint   NOT NULL,
    timeout_ms   bigint   NOT NULL,
    attempt      bigint   NOT NULL,
    max_attempts bigint   NOT NULL,
    crashes      bigint   NOT NULL,
    queue        integer  NOT NULL,
    state        smallint NOT NULL CHECK (state BETWEEN 0 AND 3),
    priority     smallint NOT NULL,
    weight       smallint NOT NULL,
    cancel       smallint,
    run_at       bigint,
    ready_at     bigint,
    -- When its last attempt started; kept when that ends.
    leased_at    bigint,
    expires_at   bigint,
    unique_ms    bigint,
    -- The lease that runs.
    token        uuid,
    -- The last lease that was settled: a repeated settlement is told apart from a stale one by it.
    settled      uuid,
    -- Whether it has checkpoints.
    has_steps    boolean  NOT NULL DEFAULT false,
    kind         text COLLATE "C" NOT NULL,
    key          text COLLATE "C" NOT NULL,
    class        text COLLATE "C" NOT NULL,
    worker       text COLLATE "C",
    unique_key   text COLLATE "C",
    -- Which version of which supersede key it is.
    supersede_key text COLLATE "C",
    version_at   bigint,
    version_id   text COLLATE "C",
    trace_parent text COLLATE "C",
    -- As text, since it comes back as it was given: jsonb would put its members into another order.
    payload      text COLLATE "C" NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000);

-- Each state has indexes of its own, so that one that is probed for every job is small: those of leased and parked jobs
-- most of all. Their statements name the state as a constant, and no other index serves them.
--
-- Whose turn it is.
CREATE INDEX job_ready      ON queue.job (queue, priority DESC, pass, arrival) WHERE state = 2;
-- Who has waited longest.
CREATE INDEX job_ready_age  ON queue.job (queue, ready_at) WHERE state = 2;
-- What of a key is ready, in the order in which it starts: its first job, and the turn of its last.
CREATE INDEX job_ready_lane ON queue.job (queue, key, priority DESC, arrival) WHERE state = 2;
-- What of a key is parked, in the order in which it becomes ready.
CREATE INDEX job_parked     ON queue.job (queue, key, priority DESC, arrival) WHERE state = 3;
-- How many leases a key has, and a queue: the limits are judged by it alone.
CREATE INDEX job_leased     ON queue.job (queue, key) WHERE state = 1;
CREATE INDEX job_due        ON queue.job (queue, run_at, id) WHERE state = 0;
-- The live jobs of a supersede key: at most one that waits, the newest, and one that is leased.
CREATE INDEX job_version    ON queue.job (queue, supersede_key, state) WHERE supersede_key IS NOT NULL;

-- What a claim has leased, as long as some of it is: a repeated claim answers it, and a reaper finds by it what has expired.
-- So a lease costs no index entry of its own, and a renewal none at all.
CREATE TABLE queue.claimed (
    token    uuid    NOT NULL PRIMARY KEY,
    -- No job under the token expires before.
    check_at bigint  NOT NULL,
    -- Jobs still leased under the token.
    held     integer NOT NULL,
    -- All jobs ever leased under it.
    ids      uuid[]  NOT NULL
) WITH (fillfactor = 50);
ALTER TABLE queue.claimed ALTER COLUMN ids SET STORAGE EXTERNAL;
CREATE INDEX claimed_check ON queue.claimed (check_at);

CREATE TABLE queue.job_error (
    job     uuid     NOT NULL,
    seq     integer  NOT NULL,
    attempt bigint   NOT NULL,
    kind    smallint NOT NULL,
    message text COLLATE "C" NOT NULL,
    at      bigint   NOT NULL,
    PRIMARY KEY (job, seq)
);

CREATE TABLE queue.checkpoint (
    job   uuid    NOT NULL,
    step  text COLLATE "C" NOT NULL,
    seq   integer NOT NULL,
    value bytea   NOT NULL,
    PRIMARY KEY (job, step)
);

-- `until` is NULL while the job is live, and the end of its window afterwards.
CREATE TABLE queue.unique_key (
    queue integer NOT NULL,
    key   text COLLATE "C" NOT NULL,
    job   uuid    NOT NULL,
    -- That of the holder: a newer version of the same takes the key over.
    supersede_key text COLLATE "C",
    until bigint,
    PRIMARY KEY (queue, key)
);
CREATE INDEX unique_key_until ON queue.unique_key (until) WHERE until IS NOT NULL;

-- The newest version of each supersede key, and its job. It is forgotten after `forget_at`, unless that job is live.
CREATE TABLE queue.version (
    queue     integer NOT NULL,
    key       text COLLATE "C" NOT NULL,
    at        bigint  NOT NULL,
    id        text COLLATE "C" NOT NULL,
    job       uuid    NOT NULL,
    forget_at bigint  NOT NULL,
    PRIMARY KEY (queue, key)
);
CREATE INDEX version_forget ON queue.version (forget_at);

-- When jobs of the keys of throttled classes have started: `n` of them at the same time.
CREATE TABLE queue.throttle_start (
    queue integer NOT NULL,
    class text COLLATE "C" NOT NULL,
    key   text COLLATE "C" NOT NULL,
    at    bigint  NOT NULL,
    n     bigint  NOT NULL,
    PRIMARY KEY (queue, class, key, at)
);
CREATE INDEX throttle_start_age ON queue.throttle_start (queue, class, at);

-- Keys that have parked jobs and starts in the present period: when to look at them again.
CREATE TABLE queue.throttled (
    queue integer NOT NULL,
    key   text COLLATE "C" NOT NULL,
    until bigint  NOT NULL,
    PRIMARY KEY (queue, key)
);
CREATE INDEX throttled_until ON queue.throttled (queue, until);

-- Queues that share a limit.
CREATE TABLE queue.queue_group (
    id        integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name      text COLLATE "C" NOT NULL UNIQUE,
    job_limit bigint
);

-- Schedules.
CREATE TABLE queue.cron (
    name         text COLLATE "C" NOT NULL PRIMARY KEY,
    expression   text COLLATE "C" NOT NULL,
    zone         text COLLATE "C" NOT NULL,
    queue        integer  NOT NULL,
    kind         text COLLATE "C" NOT NULL,
    payload      text COLLATE "C" NOT NULL,
    priority     smallint NOT NULL,
    weight       smallint NOT NULL,
    key          text COLLATE "C",
    class        text COLLATE "C",
    max_attempts bigint   NOT NULL,
    timeout_ms   bigint   NOT NULL,
    -- NULL when it never fires again.
    next_at      bigint,
    last_at      bigint,
    last_job     uuid
);
CREATE INDEX cron_next ON queue.cron (queue, next_at) WHERE next_at IS NOT NULL;

-- Finished jobs, by the month in which their id was made: a UUID of version 7 starts with its time, so that a look-up
-- by id reads one partition. What lies outside of the months at hand is in the default partition.
CREATE TABLE queue.history (
    id           uuid     NOT NULL PRIMARY KEY,
    created_at   bigint   NOT NULL,
    finished_at  bigint   NOT NULL,
    timeout_ms   bigint   NOT NULL,
    attempt      bigint   NOT NULL,
    max_attempts bigint   NOT NULL,
    crashes      bigint   NOT NULL,
    queue        integer  NOT NULL,
    state        smallint NOT NULL CHECK (state BETWEEN 4 AND 6),
    priority     smallint NOT NULL,
    weight       smallint NOT NULL,
    -- The code of why it is dead or cancelled.
    reason       smallint,
    unique_ms    bigint,
    -- When its last attempt started; NULL when none has.
    leased_at    bigint,
    settled      uuid,
    kind         text COLLATE "C" NOT NULL,
    key          text COLLATE "C" NOT NULL,
    class        text COLLATE "C" NOT NULL,
    unique_key   text COLLATE "C",
    supersede_key text COLLATE "C",
    version_at   bigint,
    version_id   text COLLATE "C",
    trace_parent text COLLATE "C",
    payload      text COLLATE "C" NOT NULL
) PARTITION BY RANGE (id);
CREATE INDEX history_finished ON queue.history (finished_at) WHERE state <> 5;
CREATE INDEX history_dead     ON queue.history (queue, id) WHERE state = 5;
CREATE TABLE queue.history_other PARTITION OF queue.history DEFAULT;

-- Counts for metrics alone: no limit is ever decided by them. Changed with the jobs in one transaction, so that reading them
-- costs the same at any depth; in several rows a queue, so that those who change them do not wait for each other.
CREATE TABLE queue.depth (
    queue     integer  NOT NULL,
    slot      smallint NOT NULL,
    scheduled bigint   NOT NULL DEFAULT 0,
    ready     bigint   NOT NULL DEFAULT 0,
    parked    bigint   NOT NULL DEFAULT 0,
    leased    bigint   NOT NULL DEFAULT 0,
    dead      bigint   NOT NULL DEFAULT 0,
    PRIMARY KEY (queue, slot)
) WITH (fillfactor = 50);

-- A job whose wait or lease ends, and where it goes.
CREATE TYPE queue.ending AS (
    id         uuid,
    queue      integer,
    key        text,
    was        smallint,
    state      smallint,
    reason     smallint,
    run_at     bigint,
    attempt    bigint,
    crashes    bigint,
    unique_key text,
    unique_ms  bigint
);
