-- Usage is summed over a span of time. Built beside running writers, hence one statement, outside of a transaction.
create index concurrently review_by_creation on ledger.review (created_at_ms)
