WITH chosen AS (
    SELECT id FROM bare WHERE state = 0 AND queue = 1 ORDER BY priority DESC, id LIMIT $1 FOR UPDATE SKIP LOCKED
), leased AS (
    UPDATE bare j SET state = 1, attempt = attempt + 1, lease_until = now() + interval '30 s'
    FROM chosen c WHERE j.id = c.id RETURNING j.id, j.payload
)
SELECT coalesce(array_agg(id), '{}'), count(payload) FROM leased
