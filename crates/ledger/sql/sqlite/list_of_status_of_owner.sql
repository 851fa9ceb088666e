-- list_of_status_of_owner: the newest reviews with a status in an owner's repositories below an id.
select * from review
where substr(repository, 1, instr(repository, '/') - 1) = ?1 and status = ?2 and id < ?3
order by id desc limit ?4
