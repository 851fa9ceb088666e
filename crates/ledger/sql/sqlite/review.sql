-- review: one review by its id.
select * from review where id = ?
