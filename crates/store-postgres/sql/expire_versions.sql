-- expire_versions: forgets old ones of the first $1 versions. See queue.expire_versions.
SELECT forgotten, looked_at FROM queue.expire_versions($1)
