-- The ledger: one row a review, one review a job.

-- "rfl1": marks the file as a ledger.
pragma application_id = 0x72666c31;

create table review (
    id            blob    not null primary key check (length(id) = 16),
    job           blob    not null unique check (length(job) = 16),
    user          text    not null,
    repository    text    not null,
    base          text,
    head          text    not null,
    title         text    not null,
    model         text    not null,
    findings      integer not null,
    input_tokens  integer not null,
    cached_tokens integer not null,
    output_tokens integer not null,
    cost_micros   integer not null,
    duration_ms   integer not null,
    document      text    not null,
    markdown      text    not null,
    created_at_ms integer not null
) strict;

-- A page is read by its filter and the id, which rises with the creation; the primary key serves a page without a filter.
create index review_of_user on review (user, id);
create index review_of_repository on review (repository, id);
create index review_of_user_in_repository on review (user, repository, id);
