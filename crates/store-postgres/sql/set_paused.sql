-- set_paused: pauses or resumes queue $1 or its key $2. See queue.set_paused.
SELECT queue.set_paused($1, $2, $3)
