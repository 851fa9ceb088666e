-- checkpoint: keeps a value with a leased job, as the one written last. ARGV: job, token, step, value, most steps. Answers 0 when the
-- lease is lost, 1 when it is kept, and 2 when the job has as many steps already.
local id, step = ARGV[1], ARGV[3]
local lease = call('HGET', LEASES, id)
if not lease or sub(lease, 1, 16) ~= ARGV[2] then return 0 end
local values, steps = ROOT .. 'k:' .. id, ROOT .. 'ks:' .. id
if call('HEXISTS', values, step) == 0 and call('HLEN', values) >= tonumber(ARGV[5]) then return 2 end
call('HSET', values, step, ARGV[4])
call('LREM', steps, 1, step)
call('RPUSH', steps, step)
local job = find(id)
if job.notes % 2 == 0 then
  job.notes = job.notes + HAS_STEPS
  save(id, job)
end
return 1
