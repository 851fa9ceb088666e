-- version_keep: of the first ?3 versions that may be forgotten at ?1, keeps those whose job is live until ?2.
UPDATE version SET forget_at = ?2
WHERE (queue, key) IN (
    SELECT v.queue, v.key FROM version v INDEXED BY version_forget
    WHERE v.forget_at <= ?1 ORDER BY v.forget_at LIMIT ?3
) AND EXISTS (SELECT 1 FROM job j WHERE j.id = version.job)
