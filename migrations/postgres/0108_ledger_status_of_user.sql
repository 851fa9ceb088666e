-- Reviews of a user with a status. Built beside running writers, hence one statement, outside of a transaction.
create index concurrently review_of_status_of_user on ledger.review ("user", status, id)
