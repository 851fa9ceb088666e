-- cron_list: schedules. ARGV: how many that have fired, or -1 for all there are, which are few. Answers of each the entry, when it
-- fires next, when it fired last, and that firing's job, each '' for none; and last the time.
local most, names, rows = tonumber(ARGV[1]), {}, {}
if most < 0 then
  names = call('HKEYS', ROOT .. 'cron')
else
  for _, id in ipairs(all_queues()) do
    local fired = call('ZRANGEBYSCORE', ROOT .. 'cn:' .. id, '-inf', now, 'LIMIT', 0, most - #names)
    for _, name in ipairs(fired) do names[#names + 1] = name end
  end
end
for i, name in ipairs(names) do
  local set = cmsgpack.unpack(call('HGET', ROOT .. 'cron', name))
  rows[i] = { set.entry, set.next_at, set.last_at, set.last_job }
end
return { rows, now }
