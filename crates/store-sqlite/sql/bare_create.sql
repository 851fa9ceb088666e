-- bare_create: the table that the queue is measured beside, with the columns that any queue needs. Times are seconds.
CREATE TABLE bare (
    id          INTEGER PRIMARY KEY,
    queue       INTEGER NOT NULL DEFAULT 1,
    state       INTEGER NOT NULL DEFAULT 0,
    priority    INTEGER NOT NULL DEFAULT 0,
    run_at      INTEGER NOT NULL DEFAULT (unixepoch()),
    key         TEXT,
    payload     TEXT    NOT NULL,
    attempt     INTEGER NOT NULL DEFAULT 0,
    lease       BLOB,
    lease_until INTEGER,
    created_at  INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;
CREATE INDEX bare_ready  ON bare (queue, priority DESC, id) WHERE state = 0;
CREATE INDEX bare_expiry ON bare (lease_until) WHERE state = 1;
