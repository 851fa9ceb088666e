-- fill: judges lanes that have parked jobs anew, as after a limit was raised. ARGV: queue, and where to go on, '0' at first. Answers
-- where to go on, '0' at the end, and how many jobs became ready.
local LANES = 100
local queue = queue_named(ARGV[1])
if not queue then return { '0', 0 } end
local page = call('HSCAN', ROOT .. 'p:' .. queue.id, ARGV[2], 'COUNT', LANES)
for i = 1, #page[2], 2 do
  local class, key = string.match(page[2][i], '^(%d+):(.*)$')
  touch(lane_of(queue, tonumber(class), key))
end
local freed = judge_all()
close()
return { page[1], freed }
