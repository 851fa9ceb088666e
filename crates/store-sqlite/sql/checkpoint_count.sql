-- checkpoint_count: how many checkpoints job ?1 has beside the step ?2.
SELECT count(*) FROM checkpoint WHERE job = ?1 AND step <> ?2
