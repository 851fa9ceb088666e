-- bare_claim: leases the first ?1 jobs, and answers them.
UPDATE bare SET state = 1, attempt = attempt + 1, lease_until = unixepoch() + 30
WHERE id IN (SELECT id FROM bare WHERE state = 0 AND queue = 1 ORDER BY priority DESC, id LIMIT ?1)
RETURNING id, payload
