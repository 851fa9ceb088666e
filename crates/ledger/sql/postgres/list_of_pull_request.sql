-- list_of_pull_request: the newest reviews of a pull request below an id, of a user and with a status if they are given.
select * from ledger.review
where repository = $1 and pull_request = $2 and id < $3 and ($4::text is null or "user" = $4) and ($5::text is null or status = $5)
order by id desc limit $6
