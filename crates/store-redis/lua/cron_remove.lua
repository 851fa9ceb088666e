-- cron_remove: forgets a schedule. ARGV: its name. Answers whether there was one.
local before = call('HGET', ROOT .. 'cron', ARGV[1])
if not before then return 0 end
call('HDEL', ROOT .. 'cron', ARGV[1])
call('ZREM', ROOT .. 'cn:' .. cmsgpack.unpack(before).queue, ARGV[1])
return 1
