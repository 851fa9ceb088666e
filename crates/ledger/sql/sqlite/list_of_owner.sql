-- list_of_owner: the newest reviews in an owner's repositories below an id.
select * from review
where substr(repository, 1, instr(repository, '/') - 1) = ?1 and id < ?2
order by id desc limit ?3
