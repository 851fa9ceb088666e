-- end_throttles: looks again at keys of queue $1 that their throttles have held back, at $2 keys and $3 jobs at most.
SELECT queue.end_throttles($1, $2, $3)
