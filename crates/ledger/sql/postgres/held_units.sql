-- held_units: the user's units of today whose job has no review, oldest first, with their age.
select unit.job, clock.now_ms - unit.taken_at_ms as age_ms
from (select (extract(epoch from clock_timestamp()) * 1000)::bigint as now_ms) clock
join ledger.quota_unit unit on unit."user" = $1 and unit.day = clock.now_ms / 86400000
where not exists (select from ledger.review where review.job = unit.job)
order by unit.taken_at_ms
limit $2
