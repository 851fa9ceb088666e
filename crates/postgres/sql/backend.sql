-- backend: the server process that this statement meets.
select pg_backend_pid()
