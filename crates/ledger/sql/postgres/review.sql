-- review: one review by its id.
select * from ledger.review where id = $1
