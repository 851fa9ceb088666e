-- usage: what the reviews of a span of time cost, by day, user and model.
select created_at_ms / 86400000 as day, user, model, count(*) as reviews, sum(input_tokens) as input_tokens,
       sum(cached_tokens) as cached_tokens, sum(output_tokens) as output_tokens, sum(cost_micros) as cost_micros
from review
where created_at_ms >= ? and created_at_ms < ?
group by 1, 2, 3
order by 1 desc, 2, 3
limit ?
