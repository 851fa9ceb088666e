-- The queue on SQLite. Times are milliseconds of the Unix epoch, ids are the 16 bytes of a UUID.
--
-- States: 0 scheduled, 1 leased, 2 ready, 3 parked; in history: 4 completed, 5 dead, 6 cancelled. The order is that of the
-- index job_lane: the jobs of a key move along it from the back to the front, from page to neighbouring page.
-- A job without a concurrency key has the key '', which no limit ever holds back.

-- Marks the file as this program's queue ("rfq1"), so that no other database is taken for one.
PRAGMA application_id = 0x72667131;

CREATE TABLE queue (
    id         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    job_limit  INTEGER,
    paused     INTEGER NOT NULL DEFAULT 0,
    -- Waiting before this time does not count as starvation.
    resumed_at INTEGER NOT NULL DEFAULT 0,
    -- Starts so far: every tenth one may go to the longest-waiting key.
    starts     INTEGER NOT NULL DEFAULT 0
) STRICT;

-- A class whose limit is NULL is known and unlimited.
CREATE TABLE limit_class (
    queue     INTEGER NOT NULL,
    class     TEXT    NOT NULL,
    job_limit INTEGER,
    PRIMARY KEY (queue, class)
) STRICT, WITHOUT ROWID;

-- What an operator has set for one key, over its class.
CREATE TABLE key_override (
    queue     INTEGER NOT NULL,
    key       TEXT    NOT NULL,
    job_limit INTEGER,
    paused    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (queue, key)
) STRICT, WITHOUT ROWID;

-- The greatest pass leased so far; it never falls.
CREATE TABLE turn (
    queue    INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    v        INTEGER NOT NULL,
    PRIMARY KEY (queue, priority)
) STRICT, WITHOUT ROWID;

-- The last arrival number given out.
CREATE TABLE arrival (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    last INTEGER NOT NULL
) STRICT;
INSERT INTO arrival VALUES (1, 0);

-- Live jobs alone, and narrow: SQLite writes the whole record anew at every change.
CREATE TABLE job (
    id            BLOB    NOT NULL PRIMARY KEY,
    queue         INTEGER NOT NULL,
    kind          TEXT    NOT NULL,
    state         INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3),
    priority      INTEGER NOT NULL,
    weight        INTEGER NOT NULL,
    -- Order among the keys of a queue at equal priority.
    pass          INTEGER NOT NULL,
    -- Order among the jobs of a key at equal priority; kept while the job is parked, leased and released.
    arrival       INTEGER NOT NULL,
    key           TEXT    NOT NULL,
    class         TEXT,
    run_at        INTEGER,
    ready_at      INTEGER,
    token         BLOB,
    worker        TEXT,
    -- When its last attempt started; kept when that ends.
    leased_at     INTEGER,
    expires_at    INTEGER,
    cancel        INTEGER,
    -- The last lease that was settled: a repeated settlement is told apart from a stale one by it.
    settled       BLOB,
    attempt       INTEGER NOT NULL,
    max_attempts  INTEGER NOT NULL,
    crashes       INTEGER NOT NULL,
    timeout_ms    INTEGER NOT NULL,
    unique_key    TEXT,
    unique_ms     INTEGER,
    created_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Whose turn it is.
CREATE INDEX job_ready     ON job (queue, priority DESC, pass, arrival) WHERE state = 2;
-- Who has waited longest.
CREATE INDEX job_ready_age ON job (queue, ready_at) WHERE state = 2;
-- What of a key is leased, ready and parked, in the order in which it starts.
CREATE INDEX job_lane      ON job (queue, key, state, priority DESC, arrival);
-- What a claim holds, and how many leases a queue has.
CREATE INDEX job_token     ON job (queue, token) WHERE state = 1;
CREATE INDEX job_expiry    ON job (expires_at) WHERE state = 1;
CREATE INDEX job_due       ON job (queue, run_at) WHERE state = 0;

-- Written once at the enqueue, for live and finished jobs alike.
CREATE TABLE job_body (
    id           BLOB NOT NULL PRIMARY KEY,
    payload      TEXT NOT NULL,
    trace_parent TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE job_error (
    job     BLOB    NOT NULL,
    seq     INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    kind    INTEGER NOT NULL,
    message TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (job, seq)
) STRICT, WITHOUT ROWID;

-- With rowids: a value may be large, and the primary key of a table without them is read in pages that hold four rows.
CREATE TABLE checkpoint (
    job   BLOB    NOT NULL,
    step  TEXT    NOT NULL,
    seq   INTEGER NOT NULL,
    value BLOB    NOT NULL,
    PRIMARY KEY (job, step)
) STRICT;

-- `until` is NULL while the job is live, and the end of its window afterwards.
CREATE TABLE unique_key (
    queue INTEGER NOT NULL,
    key   TEXT    NOT NULL,
    job   BLOB    NOT NULL,
    until INTEGER,
    PRIMARY KEY (queue, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX unique_key_until ON unique_key (until) WHERE until IS NOT NULL;

CREATE TABLE history (
    id           BLOB    NOT NULL PRIMARY KEY,
    queue        INTEGER NOT NULL,
    kind         TEXT    NOT NULL,
    state        INTEGER NOT NULL CHECK (state BETWEEN 4 AND 6),
    -- The code of why it is dead or cancelled.
    reason       INTEGER,
    priority     INTEGER NOT NULL,
    weight       INTEGER NOT NULL,
    key          TEXT    NOT NULL,
    class        TEXT,
    settled      BLOB,
    attempt      INTEGER NOT NULL,
    max_attempts INTEGER NOT NULL,
    crashes      INTEGER NOT NULL,
    timeout_ms   INTEGER NOT NULL,
    unique_key   TEXT,
    unique_ms    INTEGER,
    created_at   INTEGER NOT NULL,
    -- When its last attempt started; NULL when none has.
    leased_at    INTEGER,
    finished_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX history_finished ON history (finished_at) WHERE state <> 5;
CREATE INDEX history_dead     ON history (queue, id) WHERE state = 5;

-- Counts for metrics alone: no limit is ever decided by them. Kept by the triggers below in the transaction that
-- changes the jobs, so that reading them costs the same at any depth.
CREATE TABLE depth (
    queue     INTEGER PRIMARY KEY,
    scheduled INTEGER NOT NULL DEFAULT 0,
    ready     INTEGER NOT NULL DEFAULT 0,
    parked    INTEGER NOT NULL DEFAULT 0,
    leased    INTEGER NOT NULL DEFAULT 0,
    dead      INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TRIGGER queue_depth AFTER INSERT ON queue BEGIN
    INSERT INTO depth (queue) VALUES (new.id);
END;

CREATE TRIGGER job_inserted AFTER INSERT ON job BEGIN
    UPDATE depth SET
        scheduled = scheduled + (new.state = 0),
        ready     = ready     + (new.state = 2),
        parked    = parked    + (new.state = 3),
        leased    = leased    + (new.state = 1)
    WHERE queue = new.queue;
END;

CREATE TRIGGER job_moved AFTER UPDATE OF state ON job WHEN new.state <> old.state BEGIN
    UPDATE depth SET
        scheduled = scheduled + (new.state = 0) - (old.state = 0),
        ready     = ready     + (new.state = 2) - (old.state = 2),
        parked    = parked    + (new.state = 3) - (old.state = 3),
        leased    = leased    + (new.state = 1) - (old.state = 1)
    WHERE queue = new.queue;
END;

CREATE TRIGGER job_deleted AFTER DELETE ON job BEGIN
    UPDATE depth SET
        scheduled = scheduled - (old.state = 0),
        ready     = ready     - (old.state = 2),
        parked    = parked    - (old.state = 3),
        leased    = leased    - (old.state = 1)
    WHERE queue = old.queue;
END;

CREATE TRIGGER dead_inserted AFTER INSERT ON history WHEN new.state = 5 BEGIN
    UPDATE depth SET dead = dead + 1 WHERE queue = new.queue;
END;

CREATE TRIGGER dead_deleted AFTER DELETE ON history WHEN old.state = 5 BEGIN
    UPDATE depth SET dead = dead - 1 WHERE queue = old.queue;
END;
