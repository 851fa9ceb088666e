-- starved: of the ?3 longest-waiting ready jobs of queue ?1 that are ready since ?2 or before, those that are the first of
-- their key, longest-waiting first, each with the limit of its key and how many of the key are leased.
SELECT
    j.id, j.key, j.priority, j.pass,
    CASE WHEN o.paused THEN 0 ELSE coalesce(o.job_limit, c.job_limit) END,
    (SELECT count(*) FROM job l INDEXED BY job_lane WHERE l.state = 1 AND l.queue = ?1 AND l.key = j.key)
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
