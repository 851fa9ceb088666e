-- version_expire: forgets those of the first ?2 versions that may be forgotten at ?1 whose job is not live.
DELETE FROM version
WHERE (queue, key) IN (
    SELECT v.queue, v.key FROM version v INDEXED BY version_forget
    WHERE v.forget_at <= ?1 ORDER BY v.forget_at LIMIT ?2
) AND NOT EXISTS (SELECT 1 FROM job j WHERE j.id = version.job)
