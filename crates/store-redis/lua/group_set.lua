-- group_set: gives queues a limit that they share. ARGV: the group's name, its limit or '', and names of queues. Answers '' and '',
-- or the name of a queue that is not there and '', or of one that is in another group and that group's name.
local name, limit, ids = ARGV[1], ARGV[2], {}
for i = 3, #ARGV do
  local queue = queue_named(ARGV[i])
  if not queue then return { ARGV[i], '' } end
  if queue.group and queue.group ~= name then return { ARGV[i], queue.group } end
  ids[#ids + 1] = queue.id
end
local before = call('HGET', ROOT .. 'groups', name)
if before then
  for _, id in ipairs(cjson.decode(before).queues) do call('HDEL', ROOT .. 'q:' .. id, 'group') end
end
if #ids == 0 then
  call('HDEL', ROOT .. 'groups', name)
else
  for _, id in ipairs(ids) do call('HSET', ROOT .. 'q:' .. id, 'group', name) end
  call('HSET', ROOT .. 'groups', name, cjson.encode({ limit = tonumber(limit) or cjson.null, queues = ids }))
end
-- A raised limit or a queue that has left lets more start.
woke = true
close()
return { '', '' }
