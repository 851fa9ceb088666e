-- list_of_user_at_owner: the newest reviews of a user in an owner's repositories below an id, with a status if one is given.
select * from review
where user = ?1 and substr(repository, 1, instr(repository, '/') - 1) = ?2 and id < ?3 and (?4 is null or status = ?4)
order by id desc limit ?5
