-- cancel_ask: asks the worker that holds the job ?1 to stop, for the reason ?2; the first reason stands.
UPDATE job SET cancel = coalesce(cancel, ?2) WHERE id = ?1 AND state = 1
