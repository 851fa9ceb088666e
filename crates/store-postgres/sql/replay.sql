-- replay: replays at most $3 dead letters of queue $1 and kind $2, or of any. See queue.replay.
SELECT replayed, more, woke FROM queue.replay($1, $2, $3)
