-- class_set: sets a class's limit or throttle; the class becomes known by it. ARGV: queue, class, what (limit, configured or
-- throttle), and the limit or -1, or starts (0: none), period and whether it refuses. Answers 0 when there is no such queue, 1 when
-- nothing has changed, and 2 when lanes are to be judged anew.
local queue = queue_named(ARGV[1])
if not queue then return 0 end
local set = queue.named[ARGV[2]]
if not set then
  set = { id = call('HINCRBY', META, 'classes', 1), limit = HUGE, starts = 0, period = 0, refuses = false, configured = -2 }
end
local limit = tonumber(ARGV[4])
if ARGV[3] == 'throttle' then
  set.starts, set.period, set.refuses = limit, tonumber(ARGV[5]), ARGV[6] == '1'
else
  if ARGV[3] == 'configured' then
    if set.configured == limit then return 1 end
    set.configured = limit
  end
  set.limit = limit
end
call('HSET', ROOT .. 'c:' .. queue.id, ARGV[2], pack(CLASS, set.id, set.limit == HUGE and -1 or set.limit, set.starts,
  set.period, set.refuses and 1 or 0, set.configured))
return 2
