-- prune: forgets finished jobs, those that ended first going first, or counts them. ARGV: queue, state, kind, key, ended at or after,
-- before (each '' for any), most, whether it only counts, and where it goes on: an end and how many with that end it has passed.
-- Dead ones go only when their state is named, and then of one queue. Answers how many, whether more are left, and where to go on, nothing at the end; or
-- -1 when there is no such queue.
local LOOK_MAX = 200
local queue = ARGV[1] ~= '' and queue_named(ARGV[1])
if queue == nil then return { -1, 0 } end
local state, kind, key, after, before = tonumber(ARGV[2]), ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local most, only_counts, from, passed = tonumber(ARGV[7]), ARGV[8] == '1', ARGV[9], tonumber(ARGV[10])
local ids, scores = {}, {}
if state == DEAD then
  ids = call('ZRANGEBYLEX', ROOT .. 'x:' .. queue.id, from == '' and '-' or '(' .. from, '+', 'LIMIT', 0, LOOK_MAX)
else
  local low = from ~= '' and from or after or '-inf'
  local page = call('ZRANGEBYSCORE', FINISHED, low, before and '(' .. ARGV[6] or '+inf', 'WITHSCORES', 'LIMIT', passed, LOOK_MAX)
  for i = 1, #page, 2 do ids[#ids + 1], scores[#scores + 1] = page[i], page[i + 1] end
end
local texts, count, more = batch_get('HMGET', JOBS, ids), 0, 0
for i, id in ipairs(ids) do
  local job = read_job(texts[i])
  local fits = (not queue or job.queue == queue.id) and (not state or job.state == state) and (kind == '' or job.kind == kind)
    and (key == '' or job.key == key) and (not after or job.at >= after) and (not before or job.at < before)
  if fits and count == most then
    more = 1
    break
  end
  if fits then count = count + 1 end
  if fits and not only_counts then
    forget(id, job)
  elseif scores[i] == from then
    passed = passed + 1
  else
    from, passed = scores[i] or id, 1
  end
end
if more == 1 or #ids < LOOK_MAX then return { count, more } end
if state == DEAD then passed, from = 0, ids[#ids] end
return { count, more, from, passed }
