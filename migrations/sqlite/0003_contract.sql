-- Versions, throttles, groups of queues and schedules. A store that uses none of them pays for none: the columns of a job
-- are NULL and the tables empty.

-- Which version of which supersede key a job is.
ALTER TABLE job ADD COLUMN supersede_key TEXT;
ALTER TABLE job ADD COLUMN version_at INTEGER;
ALTER TABLE job ADD COLUMN version_id TEXT;
ALTER TABLE history ADD COLUMN supersede_key TEXT;
ALTER TABLE history ADD COLUMN version_at INTEGER;
ALTER TABLE history ADD COLUMN version_id TEXT;

-- Among the parked jobs of a key the ones are looked for that no older version holds back, in this index alone.
DROP INDEX job_lane;
CREATE INDEX job_lane ON job (queue, key, state, priority DESC, arrival, supersede_key);

-- The live jobs of a supersede key: at most one that waits, the newest, and one that is leased.
CREATE INDEX job_version ON job (queue, supersede_key, state) WHERE supersede_key IS NOT NULL;

-- The newest version of each supersede key, and its job. It is forgotten after `forget_at`, unless that job is live.
CREATE TABLE version (
    queue     INTEGER NOT NULL,
    key       TEXT    NOT NULL,
    at        INTEGER NOT NULL,
    id        TEXT    NOT NULL,
    job       BLOB    NOT NULL,
    forget_at INTEGER NOT NULL,
    PRIMARY KEY (queue, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX version_forget ON version (forget_at);

-- The supersede key of the holder: a newer version of the same takes the unique key over.
ALTER TABLE unique_key ADD COLUMN supersede_key TEXT;

-- A class without a throttle has NULL.
ALTER TABLE limit_class ADD COLUMN throttle_starts INTEGER;
ALTER TABLE limit_class ADD COLUMN throttle_ms INTEGER;
ALTER TABLE limit_class ADD COLUMN throttle_refuses INTEGER NOT NULL DEFAULT 0;

-- When jobs of the keys of throttled classes have started: `n` of them at the same time.
CREATE TABLE throttle_start (
    queue INTEGER NOT NULL,
    class TEXT    NOT NULL,
    key   TEXT    NOT NULL,
    at    INTEGER NOT NULL,
    n     INTEGER NOT NULL,
    PRIMARY KEY (queue, class, key, at)
) STRICT, WITHOUT ROWID;
CREATE INDEX throttle_start_age ON throttle_start (queue, class, at);

-- Keys that have parked jobs and starts in the present period: when to look at them again.
CREATE TABLE throttled (
    queue INTEGER NOT NULL,
    key   TEXT    NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (queue, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX throttled_until ON throttled (queue, until);

CREATE TABLE queue_group (
    id        INTEGER PRIMARY KEY,
    name      TEXT    NOT NULL UNIQUE,
    job_limit INTEGER
) STRICT;
ALTER TABLE queue ADD COLUMN group_id INTEGER;

-- With rowids: a payload may be large.
CREATE TABLE cron (
    name         TEXT    NOT NULL PRIMARY KEY,
    expression   TEXT    NOT NULL,
    zone         TEXT    NOT NULL,
    queue        INTEGER NOT NULL,
    kind         TEXT    NOT NULL,
    payload      TEXT    NOT NULL,
    priority     INTEGER NOT NULL,
    weight       INTEGER NOT NULL,
    key          TEXT,
    class        TEXT,
    max_attempts INTEGER NOT NULL,
    timeout_ms   INTEGER NOT NULL,
    -- NULL when it never fires again.
    next_at      INTEGER,
    last_at      INTEGER,
    last_job     BLOB
) STRICT;
CREATE INDEX cron_next ON cron (queue, next_at) WHERE next_at IS NOT NULL;
