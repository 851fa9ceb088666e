-- held_units: the user's units of today whose job has no review, oldest first, with their age.
select unit.job, clock.now_ms - unit.taken_at_ms as age_ms
from (select cast(round(unixepoch('subsec') * 1000) as integer) as now_ms) as clock
join quota_unit as unit on unit.user = ? and unit.day = clock.now_ms / 86400000
where not exists (select 1 from review where review.job = unit.job)
order by unit.taken_at_ms
limit ?
