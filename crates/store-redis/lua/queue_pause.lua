-- queue_pause: pauses or resumes a queue. ARGV: its name, and whether it is paused now. The time of a pause does not count as
-- waiting. Answers 0 when there is no such queue.
local queue = queue_named(ARGV[1])
if not queue then return 0 end
local set = ROOT .. 'q:' .. queue.id
if ARGV[2] == '1' then
  call('HSET', set, 'paused', 1)
elseif queue.paused then
  call('HDEL', set, 'paused')
  call('HSET', set, 'resumed', now)
end
woke = ARGV[2] == '0'
close()
return 1
