-- list: the newest reviews below an id.
select * from ledger.review where id < $1 order by id desc limit $2
