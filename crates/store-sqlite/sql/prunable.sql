-- prunable: at most ?2 finished jobs that ended before ?1, dead ones excepted.
SELECT id FROM history INDEXED BY history_finished WHERE state <> 5 AND finished_at < ?1 ORDER BY finished_at LIMIT ?2
