-- list_of_user: the newest reviews of a user below an id.
select * from ledger.review where "user" = $1 and id < $2 order by id desc limit $3
