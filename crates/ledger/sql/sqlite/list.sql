-- list: the newest reviews below an id.
select * from review where id < ? order by id desc limit ?
