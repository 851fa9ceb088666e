-- list_of_user_in_repository: the newest reviews of a user in a repository below an id.
select * from review where user = ? and repository = ? and id < ? order by id desc limit ?
