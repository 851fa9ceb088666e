-- give_back: forgets units of jobs that will have no review. One that has a review is spent.
delete from ledger.quota_unit unit
where job = any($1) and not exists (select from ledger.review where review.job = unit.job)
