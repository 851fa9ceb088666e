-- list_of_status: the newest reviews with a status below an id.
select * from review where status = ?1 and id < ?2 order by id desc limit ?3
