-- cancel: cancels the job $1 for the reason $2. See queue.cancel.
SELECT queue.cancel($1, $2)
