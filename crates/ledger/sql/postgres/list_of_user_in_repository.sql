-- list_of_user_in_repository: the newest reviews of a user in a repository below an id.
select * from ledger.review where "user" = $1 and repository = $2 and id < $3 order by id desc limit $4
