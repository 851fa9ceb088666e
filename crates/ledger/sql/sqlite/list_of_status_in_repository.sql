-- list_of_status_in_repository: the newest reviews with a status in a repository below an id.
select * from review where repository = ?1 and status = ?2 and id < ?3 order by id desc limit ?4
