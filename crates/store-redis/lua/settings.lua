-- settings: all that is set for a queue. ARGV: its name, and how many keys at most. Answers nothing when it is not there; else its
-- limit or '', whether it is paused, its group's name or '', that one's limit or '' and queues, its classes with their settings, and
-- keys with settings of their own.
local queue = queue_named(ARGV[1])
if not queue then return {} end
local limit, names = '', {}
if queue.group then
  local group = cjson.decode(call('HGET', ROOT .. 'groups', queue.group))
  if group.limit ~= cjson.null then limit = string.format('%.0f', group.limit) end
  for i, id in ipairs(group.queues) do names[i] = call('HGET', ROOT .. 'q:' .. id, 'name') end
end
local keys = call('ZRANGE', ROOT .. 'on:' .. queue.id, 0, tonumber(ARGV[2]) - 1)
return {
  queue.limit and string.format('%.0f', queue.limit) or '', queue.paused and 1 or 0, queue.group or '', limit, names,
  call('HGETALL', ROOT .. 'c:' .. queue.id), keys, batch_get('HMGET', ROOT .. 'o:' .. queue.id, keys),
}
