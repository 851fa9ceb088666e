-- The ledger: one row a review, one review a job.

create table ledger.review (
    id            uuid   primary key,
    job           uuid   not null unique,
    "user"        text   collate "C" not null,
    repository    text   collate "C" not null,
    base          text,
    head          text   not null,
    title         text   not null,
    model         text   collate "C" not null,
    findings      bigint not null,
    input_tokens  bigint not null,
    cached_tokens bigint not null,
    output_tokens bigint not null,
    cost_micros   bigint not null,
    duration_ms   bigint not null,
    document      text   not null,
    markdown      text   not null,
    created_at_ms bigint not null
);

-- A page is read by its filter and the id, which rises with the creation; the primary key serves a page without a filter.
create index review_of_user on ledger.review ("user", id);
create index review_of_repository on ledger.review (repository, id);
create index review_of_user_in_repository on ledger.review ("user", repository, id);
