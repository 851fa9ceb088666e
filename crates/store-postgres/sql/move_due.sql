-- move_due: moves at most $1 due jobs. See queue.move_due.
SELECT moved, woke FROM queue.move_due($1)
