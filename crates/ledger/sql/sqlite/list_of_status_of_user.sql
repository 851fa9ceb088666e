-- list_of_status_of_user: the newest reviews of a user with a status below an id.
select * from review where user = ?1 and status = ?2 and id < ?3 order by id desc limit ?4
