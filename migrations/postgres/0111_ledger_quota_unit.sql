-- Units of the users' daily quotas: one row a job that was taken on under one. How they are counted says
-- docs/decisions/units-are-counted-by-jobs.md.

create table ledger.quota_unit (
    job         uuid   primary key,
    "user"      text   collate "C" not null,
    -- Days since 1970-01-01 (UTC): that on which the unit was taken, whenever the job runs.
    day         bigint not null,
    -- What is reviewed: of the jobs of a subject that have no review yet, one at most will have one.
    subject     text   collate "C" not null,
    taken_at_ms bigint not null
);

create index quota_unit_of_day on ledger.quota_unit ("user", day, taken_at_ms);
create index quota_unit_of_subject on ledger.quota_unit (subject, taken_at_ms);

-- Takes a unit of the user's day unless all are taken, and says how long the day still is. The units of one user are taken one
-- after the other: each statement below sees what was committed before the lock was granted.
create function ledger.take_unit(the_job uuid, the_user text, the_subject text, daily bigint)
returns table (taken boolean, resets_in_ms bigint)
language plpgsql as $$
declare
    now_ms bigint;
    today bigint;
begin
    -- "rfl2" and the user; two users who share a lock wait for each other, and no more.
    perform pg_advisory_xact_lock(1919314994, hashtext(the_user));
    now_ms := (extract(epoch from clock_timestamp()) * 1000)::bigint;
    today := now_ms / 86400000;
    resets_in_ms := 86400000 - now_ms % 86400000;
    insert into ledger.quota_unit (job, "user", day, subject, taken_at_ms)
    select the_job, the_user, today, the_subject, now_ms
    where exists (select from ledger.quota_unit held
                  where held."user" = the_user and held.day = today and held.subject = the_subject
                    and not exists (select from ledger.review where review.job = held.job))
       or daily > (select count(review.job) + count(distinct unit.subject) filter (where review.job is null)
                   from ledger.quota_unit unit left join ledger.review on review.job = unit.job
                   where unit."user" = the_user and unit.day = today)
    on conflict (job) do update set job = excluded.job;
    taken := found;
    return next;
end
$$;
