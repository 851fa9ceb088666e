-- Reviews with a status in a repository. Built beside running writers, hence one statement, outside of a transaction.
create index concurrently review_of_status_in_repository on ledger.review (repository, status, id)
