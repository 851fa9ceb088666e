-- unique_expire: forgets at most ?2 unique keys whose window has ended at ?1.
DELETE FROM unique_key WHERE (queue, key) IN (
    SELECT queue, key FROM unique_key WHERE until IS NOT NULL AND until <= ?1 ORDER BY until LIMIT ?2
)
