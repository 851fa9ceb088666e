-- stats: the depth of every queue: its name, how many jobs are scheduled, wait, are parked, leased and dead, its limit or '', whether
-- it is paused, and since when its longest-waiting key is ready or -1; and last the time.
local rows = {}
for _, id in ipairs(all_queues()) do
  local set = call('HMGET', ROOT .. 'q:' .. id, 'name', 'waiting', 'parkings', 'limit', 'paused')
  local oldest = call('ZRANGE', ROOT .. 'a:' .. id, 0, 0, 'WITHSCORES')
  rows[#rows + 1] = {
    set[1], call('ZCARD', ROOT .. 'd:' .. id), tonumber(set[2]) or 0, tonumber(set[3]) or 0, leased_of_queue(id),
    call('ZCARD', ROOT .. 'x:' .. id), set[4] or '', set[5] == '1' and 1 or 0, oldest[2] and tonumber(oldest[2]) or -1,
  }
end
return { rows, now }
