-- units_of_subject: the latest units that were taken for a subject, whoever's, newest first, with their age.
select job, (extract(epoch from clock_timestamp()) * 1000)::bigint - taken_at_ms as age_ms
from ledger.quota_unit
where subject = $1
order by taken_at_ms desc
limit $2
