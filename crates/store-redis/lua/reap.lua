-- reap: takes over leases that have expired, under a token of the reaper's. ARGV: the token, who asks, how long the leases run, how
-- many, and how many this call has taken over before. A repeated call answers what the first has taken over. Answers the ids, for
-- how long each had been ready, and whether they are all that the call gets.
local token, worker, expires_at = ARGV[1], ARGV[2], now + tonumber(ARGV[3])
local most, before = tonumber(ARGV[4]), tonumber(ARGV[5])
local of_token, ids, ready = ROOT .. 'l:' .. token, {}, {}
local held = call('ZCARD', of_token)
if held > before then
  ids = call('ZRANGE', of_token, 0, -1)
  for i, id in ipairs(ids) do
    local _, _, _, _, _, ready_ms = read(LEASE, call('HGET', LEASES, id))
    ready[i] = pack('<d', ready_ms)
  end
  return { table.concat(ids), table.concat(ready), 1 }
end
ids = call('ZRANGEBYSCORE', EXPIRY, '-inf', now, 'LIMIT', 0, most)
local leases, expiries, ranks = {}, {}, {}
for i, id in ipairs(ids) do
  local old, cancel_asked, _, _, pass, ready_ms = read(LEASE, call('HGET', LEASES, id))
  call('ZREM', ROOT .. 'l:' .. old, id)
  add(leases, id, lease_text(token, cancel_asked, now, expires_at, pass, ready_ms, worker))
  add(expiries, expires_at, id)
  add(ranks, held + i, id)
  ready[i] = pack('<d', ready_ms)
end
batch('HSET', LEASES, leases)
batch('ZADD', EXPIRY, expiries)
batch('ZADD', of_token, ranks)
return { table.concat(ids), table.concat(ready), #ids < most and 1 or 0 }
