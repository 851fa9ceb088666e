-- list_of_owner: the newest reviews in an owner's repositories below an id.
select * from ledger.review where split_part(repository, '/', 1) = $1 and id < $2 order by id desc limit $3
