-- list_of_repository: the newest reviews of a repository below an id.
select * from review where repository = ? and id < ? order by id desc limit ?
