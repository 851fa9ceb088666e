-- Reviews of a pull request. Built beside running writers, hence one statement, outside of a transaction.
create index concurrently review_of_pull_request on ledger.review (repository, pull_request, id) where pull_request is not null
