-- begin: a transaction whose statements have each a snapshot of their own.
begin isolation level read committed
