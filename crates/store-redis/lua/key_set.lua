-- key_set: sets a key's own limit, pauses or resumes it. ARGV: queue, key, what (limit, pause or resume), the limit or -1. The time
-- of a pause does not count as waiting. Answers 0 when there is no such queue.
local queue = queue_named(ARGV[1])
if not queue then return 0 end
local key, what = ARGV[2], ARGV[3]
local own, limit, paused = call('HGET', ROOT .. 'o:' .. queue.id, key), -1, 0
if own then limit, paused = read(OVERRIDE, own) end
if what == 'limit' then limit = tonumber(ARGV[4]) else paused = what == 'pause' and 1 or 0 end
if limit < 0 and paused == 0 then
  call('HDEL', ROOT .. 'o:' .. queue.id, key)
  call('ZREM', ROOT .. 'on:' .. queue.id, key)
else
  call('HSET', ROOT .. 'o:' .. queue.id, key, pack(OVERRIDE, limit, paused))
  call('ZADD', ROOT .. 'on:' .. queue.id, 0, key)
  queue.has_overrides = true
end
-- A pause parks what is ready, and its end makes it ready anew.
for number in pairs(queue.classes) do
  local lane = lane_of(queue, number, key)
  if call('EXISTS', lane.jobs) == 1 then touch(lane) end
end
judge_all()
close()
return 1
