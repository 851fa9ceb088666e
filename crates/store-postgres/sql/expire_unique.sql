-- expire_unique: forgets at most $1 unique keys whose window has ended.
SELECT queue.expire_unique($1)
