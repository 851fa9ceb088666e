-- has_relation: whether there is a table or index of this name.
select to_regclass($1) is not null
