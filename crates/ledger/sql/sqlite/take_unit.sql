-- take_unit: takes a unit of the user's day unless all are taken; the job comes back if it was taken.
insert into quota_unit (job, user, day, subject, taken_at_ms)
select ?1, ?2, clock.now_ms / 86400000, ?3, clock.now_ms
from (select cast(round(unixepoch('subsec') * 1000) as integer) as now_ms) as clock
where exists (select 1 from quota_unit as held
              where held.user = ?2 and held.day = clock.now_ms / 86400000 and held.subject = ?3
                and not exists (select 1 from review where review.job = held.job))
   or ?4 > (select count(review.job) + count(distinct iif(review.job is null, unit.subject, null))
            from quota_unit as unit left join review on review.job = unit.job
            where unit.user = ?2 and unit.day = clock.now_ms / 86400000)
on conflict (job) do update set job = excluded.job
returning job
