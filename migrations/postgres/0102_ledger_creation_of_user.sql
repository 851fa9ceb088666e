-- Usage of one user over a span of time. Built beside running writers, hence one statement, outside of a transaction.
create index concurrently review_of_user_by_creation on ledger.review ("user", created_at_ms)
