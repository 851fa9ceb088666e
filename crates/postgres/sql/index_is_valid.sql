-- index_is_valid: whether an index was built to its end; no row where there is none.
select indisvalid from pg_index where indexrelid = to_regclass($1)
