-- migrate_lock: keeps other processes from migrating until the transaction ends.
SELECT pg_advisory_xact_lock(1919316273, -1)
