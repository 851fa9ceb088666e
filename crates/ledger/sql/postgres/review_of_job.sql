-- review_of_job: the review that a job has made.
select * from ledger.review where job = $1
