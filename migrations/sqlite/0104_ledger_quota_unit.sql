-- Units of the users' daily quotas: one row a job that was taken on under one. How they are counted says
-- docs/decisions/units-are-counted-by-jobs.md.

create table quota_unit (
    job         blob    not null primary key check (length(job) = 16),
    user        text    not null,
    -- Days since 1970-01-01 (UTC): that on which the unit was taken, whenever the job runs.
    day         integer not null,
    -- What is reviewed: of the jobs of a subject that have no review yet, one at most will have one.
    subject     text    not null,
    taken_at_ms integer not null
) strict;

create index quota_unit_of_day on quota_unit (user, day, taken_at_ms);
create index quota_unit_of_subject on quota_unit (subject, taken_at_ms);
