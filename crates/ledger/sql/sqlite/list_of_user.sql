-- list_of_user: the newest reviews of a user below an id.
select * from review where user = ? and id < ? order by id desc limit ?
