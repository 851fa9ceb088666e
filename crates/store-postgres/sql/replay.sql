-- replay: replays or counts dead letters. See queue.replay.
SELECT replayed, more, woke FROM queue.replay($1, $2, $3, $4, $5, $6, $7, $8)
