-- notify: wakes who listens, in all processes.
SELECT pg_notify('reviewfleet_queue', '')
