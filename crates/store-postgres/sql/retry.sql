-- retry: starts the job $1 now or anew. See queue.retry.
SELECT answer, state, holder, woke FROM queue.retry($1)
