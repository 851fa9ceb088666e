-- lease: leases the ready jobs ?1 (JSON array of hex) under token ?2 to worker ?3 from ?4 to ?5.
UPDATE job SET state = 1, token = ?2, worker = ?3, leased_at = ?4, expires_at = ?5
WHERE id IN (SELECT unhex(value) FROM jsonb_each(?1)) AND state = 2
