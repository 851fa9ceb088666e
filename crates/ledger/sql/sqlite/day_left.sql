-- day_left: how long the day (UTC) still is, by the database's clock.
select 86400000 - cast(round(unixepoch('subsec') * 1000) as integer) % 86400000 as resets_in_ms
