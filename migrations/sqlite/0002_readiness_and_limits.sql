-- What readiness writes to learn whether a job could be stored: one row, written over again.
CREATE TABLE probe (
    only  INTEGER PRIMARY KEY CHECK (only = 1),
    bytes BLOB NOT NULL
) STRICT;

-- The limits that the configuration had when it was last applied; -1 for none. NULL: it never was. One that has not changed
-- since leaves alone what an operator has set over it.
ALTER TABLE queue ADD COLUMN configured INTEGER;
ALTER TABLE limit_class ADD COLUMN configured INTEGER;
