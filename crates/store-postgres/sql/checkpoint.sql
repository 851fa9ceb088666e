-- checkpoint: keeps the value $4 of step $3 of the job $1 leased under $2. See queue.keep_checkpoint.
SELECT queue.keep_checkpoint($1, $2, $3, $4, $5)
