-- units_of_subject: the latest units that were taken for a subject, whoever's, newest first, with their age.
select job, cast(round(unixepoch('subsec') * 1000) as integer) - taken_at_ms as age_ms
from quota_unit
where subject = ?
order by taken_at_ms desc
limit ?
