-- Reviews of a user in an owner's repositories. Built beside running writers, hence one statement, outside of a transaction.
create index concurrently review_of_user_at_owner on ledger.review ("user", split_part(repository, '/', 1), id)
