-- cancel_ask_all: asks the workers that hold the jobs ?1 (JSON array of hex) to stop, for the reason ?2; a first reason
-- stands.
UPDATE job SET cancel = coalesce(cancel, ?2) WHERE id IN (SELECT unhex(value) FROM jsonb_each(?1)) AND state = 1
