-- Reviews of an owner's repositories. Built beside running writers, hence one statement, outside of a transaction.
create index concurrently review_of_owner on ledger.review (split_part(repository, '/', 1), id)
