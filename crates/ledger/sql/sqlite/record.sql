-- record: writes a review unless its job has one. The database's clock says when; an id comes back if it was written.
insert into review
    (id, job, user, repository, base, head, title, model, findings, input_tokens, cached_tokens, output_tokens,
     cost_micros, duration_ms, document, markdown, pull_request, status, created_at_ms)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, cast(round(unixepoch('subsec') * 1000) as integer))
on conflict do nothing
returning id
