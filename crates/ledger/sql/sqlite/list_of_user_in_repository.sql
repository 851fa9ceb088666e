-- list_of_user_in_repository: the newest reviews of a user in a repository below an id, with a status if one is given.
select * from review
where user = ?1 and repository = ?2 and id < ?3 and (?4 is null or status = ?4)
order by id desc limit ?5
