-- throttle_ended: at most ?3 keys of queue ?1 that are to be looked at again at ?2 or before; they are noted no more.
DELETE FROM throttled
WHERE (queue, key) IN (
    SELECT t.queue, t.key FROM throttled t INDEXED BY throttled_until
    WHERE t.queue = ?1 AND t.until <= ?2 ORDER BY t.until LIMIT ?3
)
RETURNING key
