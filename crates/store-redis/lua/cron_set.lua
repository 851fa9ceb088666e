-- cron_set: stores a schedule. ARGV: its name, queue, class or '', expression with time zone, all of it as JSON, when it fires next or
-- '', and most schedules. One whose expression and time zone are what they were keeps its next firing. Answers 0 when there is no
-- such queue, 1 no such class, 2 too many, 3 done.
local name, queue = ARGV[1], queue_named(ARGV[2])
if not queue then return 0 end
if ARGV[3] ~= '' and not queue.named[ARGV[3]] then return 1 end
local all = ROOT .. 'cron'
local before = call('HGET', all, name)
if not before and call('HLEN', all) >= tonumber(ARGV[7]) then return 2 end
local next_at, last_at, last_job = ARGV[6], '', ''
if before then
  before = cmsgpack.unpack(before)
  call('ZREM', ROOT .. 'cn:' .. before.queue, name)
  last_at, last_job = before.last_at, before.last_job
  if before.schedule == ARGV[4] then next_at = before.next_at end
end
call('HSET', all, name, cmsgpack.pack({
  queue = queue.id, schedule = ARGV[4], entry = ARGV[5], next_at = next_at, last_at = last_at, last_job = last_job,
}))
if next_at ~= '' then call('ZADD', ROOT .. 'cn:' .. queue.id, next_at, name) end
-- Whoever sleeps until the next job is due has a new time to sleep to.
woke = true
close()
return 3
