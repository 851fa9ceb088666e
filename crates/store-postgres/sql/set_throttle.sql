-- set_throttle: at most $3 starts in $4 ms for each key of class $2 of queue $1, refusing ($5). See queue.set_throttle.
SELECT queue.set_throttle($1, $2, $3, $4, $5)
