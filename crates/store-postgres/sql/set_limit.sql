-- set_limit: sets the limit $4 of queue $1, of its class $2 or its key $3. See queue.set_limit.
SELECT queue.set_limit($1, $2, $3, $4)
