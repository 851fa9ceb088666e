-- try_lock: takes the lock of a schema's migration until the transaction ends, unless another process has it.
select pg_try_advisory_xact_lock($1, $2)
