-- reap: takes over at most ?5 leases that have expired at ?3, under token ?1, for worker ?2, until ?4.
UPDATE job SET token = ?1, worker = ?2, leased_at = ?3, expires_at = ?4
WHERE id IN (
    SELECT id FROM job INDEXED BY job_expiry WHERE state = 1 AND expires_at <= ?3 ORDER BY expires_at LIMIT ?5
)
