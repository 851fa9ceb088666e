-- starved: of the ?3 longest-waiting ready jobs of queue ?1 that are ready since ?2 or before, those that are the first of
-- their key, longest-waiting first, each with what claim_window tells of a job, at ?4.
SELECT
    j.id, j.key, j.priority, j.pass,
    CASE WHEN o.paused THEN 0 ELSE coalesce(o.job_limit, c.job_limit) END,
    (SELECT count(*) FROM job l INDEXED BY job_lane WHERE l.state = 1 AND l.queue = ?1 AND l.key = j.key),
    CASE WHEN c.throttle_starts IS NOT NULL THEN c.class END,
    CASE WHEN c.throttle_starts IS NOT NULL THEN c.throttle_starts - (
        SELECT coalesce(sum(s.n), 0) FROM throttle_start s
        WHERE s.queue = ?1 AND s.class = c.class AND s.key = j.key AND s.at > ?4 - c.throttle_ms
    ) END
FROM (
    SELECT * FROM job INDEXED BY job_ready_age
    WHERE state = 2 AND queue = ?1 AND ready_at <= ?2 ORDER BY ready_at LIMIT ?3
) j
LEFT JOIN limit_class c ON c.queue = j.queue AND c.class = j.class
LEFT JOIN key_override o ON o.queue = j.queue AND o.key = j.key
WHERE j.id = (
    SELECT f.id FROM job f INDEXED BY job_lane
    WHERE f.state = 2 AND f.queue = ?1 AND f.key = j.key ORDER BY f.priority DESC, f.arrival LIMIT 1
)
ORDER BY j.ready_at
