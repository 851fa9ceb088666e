-- notify_if_ready: wakes who listens, in all processes, if a job is ready.
SELECT pg_notify('reviewfleet_queue', '') WHERE queue.is_any_ready()
