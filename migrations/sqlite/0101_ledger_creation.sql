-- Usage is summed over a span of time, of everybody or of one user.
create index review_by_creation on review (created_at_ms);
create index review_of_user_by_creation on review (user, created_at_ms);
