-- is_foreign: whether a schema is there that was not made by this program.
select to_regnamespace($1) is not null and to_regclass($1 || '.migration') is null
