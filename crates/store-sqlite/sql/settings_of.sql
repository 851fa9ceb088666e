-- settings_of: what is set for the queue ?1 itself, and the name and limit of its group.
SELECT q.id, q.job_limit, q.paused, g.id, g.name, g.job_limit
FROM queue q
LEFT JOIN queue_group g ON g.id = q.group_id
WHERE q.name = ?1
