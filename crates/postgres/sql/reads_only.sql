-- reads_only: whether the server is a standby, and whether its transactions may write by default.
select pg_is_in_recovery(), current_setting('default_transaction_read_only')::boolean
