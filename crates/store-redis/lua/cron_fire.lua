-- cron_fire: takes a firing for the caller to make the job of, and moves the schedule on. The first three ARGV are the schedule's
-- name, the firing and the one that comes after it or ''; the rest is one job as `enqueue` gets it. Answers nothing when the firing
-- was made already, or the schedule is another one now.
local name, at, after = ARGV[1], ARGV[2], ARGV[3]
local text = call('HGET', ROOT .. 'cron', name)
local set = text and cmsgpack.unpack(text)
if not set or set.next_at ~= at then return {} end
for i = 4, #ARGV do ARGV[i - 3] = ARGV[i] end
for _ = 1, 3 do ARGV[#ARGV] = nil end
local answer = enqueue()
local id = ARGV[#ARGV - 2]
local code = string.byte(answer[1])
set.next_at, set.last_at = after, at
set.last_job = code == 0 and id or (code == 1 or code == 6) and answer[2][1] or ''
call('HSET', ROOT .. 'cron', name, cmsgpack.pack(set))
call('ZREM', ROOT .. 'cn:' .. set.queue, name)
if after ~= '' then call('ZADD', ROOT .. 'cn:' .. set.queue, after, name) end
return answer
