-- configure_limit: applies the configured limit $3 of queue $1 or its class $2. See queue.configure_limit.
SELECT queue.configure_limit($1, $2, $3)
