-- queue_set: makes sure that a queue is there, and sets its limit. ARGV: its name, the limit or '', whether a queue that is not
-- there is made, and whether the limit is the configuration's, which takes effect only when it is not the one configured last.
-- Answers 0 when there is no such queue.
local name, limit, makes, configures = ARGV[1], ARGV[2], ARGV[3] == '1', ARGV[4] == '1'
local id = call('HGET', ROOT .. 'queues', name)
if not id then
  if not makes then return 0 end
  id = call('HINCRBY', META, 'queues', 1)
  call('HSET', ROOT .. 'queues', name, id)
  call('HSET', ROOT .. 'q:' .. id, 'name', name)
end
local set = ROOT .. 'q:' .. id
if configures then
  -- The limit with a mark before it, so that no limit differs from none that was configured.
  if call('HGET', set, 'configured') == '=' .. limit then return 1 end
  call('HSET', set, 'configured', '=' .. limit)
end
if limit == '' then call('HDEL', set, 'limit') else call('HSET', set, 'limit', limit) end
woke = true
close()
return 1
