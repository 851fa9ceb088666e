-- record: writes a review unless its job has one. The server's clock says when; an id comes back if it was written.
insert into ledger.review
    (id, job, "user", repository, base, head, title, model, findings, input_tokens, cached_tokens, output_tokens,
     cost_micros, duration_ms, document, markdown, pull_request, status, created_at_ms)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
        (extract(epoch from clock_timestamp()) * 1000)::bigint)
on conflict do nothing
returning id
