-- give_back: forgets units of jobs that will have no review. One that has a review is spent.
delete from quota_unit
where job in (select unhex(value) from json_each(?)) and not exists (select 1 from review where review.job = quota_unit.job)
