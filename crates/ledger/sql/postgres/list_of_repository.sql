-- list_of_repository: the newest reviews of a repository below an id.
select * from ledger.review where repository = $1 and id < $2 order by id desc limit $3
