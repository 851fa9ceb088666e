-- usage: what the reviews of a span of time cost, by day, user and model.
select created_at_ms / 86400000 as day, "user", model, count(*) as reviews, sum(input_tokens)::bigint as input_tokens,
       sum(cached_tokens)::bigint as cached_tokens, sum(output_tokens)::bigint as output_tokens,
       sum(cost_micros)::bigint as cost_micros
from ledger.review
where created_at_ms >= $1 and created_at_ms < $2
group by 1, 2, 3
order by 1 desc, 2, 3
limit $3
