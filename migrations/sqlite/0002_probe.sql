-- What readiness writes to learn whether a job could be stored: one row, written over again.
CREATE TABLE probe (
    only  INTEGER PRIMARY KEY CHECK (only = 1),
    bytes BLOB NOT NULL
) STRICT;
