-- expire: forgets what was kept long enough: unique keys whose window has ended, versions whose job is not live, and the oldest
-- finished jobs beyond as many as are kept. ARGV: most of each, and how many finished jobs are kept. Answers how many unique keys
-- and versions it has forgotten, and whether there may be more of anything.
local most, kept, keys, versions, more = tonumber(ARGV[1]), tonumber(ARGV[2]), 0, 0, 0
local ended = call('ZRANGEBYSCORE', ROOT .. 'ux', '-inf', now, 'LIMIT', 0, most)
for _, member in ipairs(ended) do
  call('HDEL', ROOT .. 'u:' .. read('>H', member), sub(member, 3))
  call('ZREM', ROOT .. 'ux', member)
  keys = keys + 1
end
local old = call('ZRANGEBYSCORE', ROOT .. 'nx', '-inf', now, 'LIMIT', 0, most)
for _, member in ipairs(old) do
  local queue, supersede = read('>H', member), sub(member, 3)
  local _, id = newest_of(queue, supersede)
  local job = id and find(id)
  if job and job.state <= BEHIND then
    call('ZADD', ROOT .. 'nx', now + VERSIONS_KEPT_MS, member)
  else
    call('HDEL', ROOT .. 'n:' .. queue, supersede)
    call('ZREM', ROOT .. 'nx', member)
    versions = versions + 1
  end
end
local beyond = math.min(most, call('ZCARD', FINISHED) - kept)
if beyond > 0 then
  for _, id in ipairs(call('ZRANGE', FINISHED, 0, beyond - 1)) do forget(id, find(id)) end
end
if #ended == most or #old == most or beyond == most then more = 1 end
return { keys, versions, more }
