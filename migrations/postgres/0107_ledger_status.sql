-- Reviews with a status. Built beside running writers, hence one statement, outside of a transaction.
create index concurrently review_of_status on ledger.review (status, id)
