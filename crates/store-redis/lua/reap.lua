-- reap: takes over leases that have expired, under a token of the reaper's. ARGV: the token, who asks, how long the leases run, how
-- many, and how many this call has taken over before. A repeated call answers what the first has taken over. Answers the ids, for
-- how long each had been ready, and whether they are all that the call gets.
local TOKENS_MAX = 200
local token, worker, expires_at = ARGV[1], ARGV[2], now + tonumber(ARGV[3])
local most, before = tonumber(ARGV[4]), tonumber(ARGV[5])
local ids, ready, taken, looked = {}, {}, {}, 0
local held, leases = held_under(token)
if #held > before then
  for i, lease in ipairs(leases) do
    local _, _, _, _, _, ready_ms = read(LEASE, lease)
    ready[i] = pack('<d', ready_ms)
  end
  return { table.concat(held), table.concat(ready), 1 }
end
-- Leases are renewed without a word to their token, so that each is asked when it ends.
for _, old in ipairs(call('ZRANGEBYSCORE', EXPIRY, '-inf', now, 'LIMIT', 0, TOKENS_MAX)) do
  if #ids == most or looked > TOKENS_MAX then break end
  local of_old, gone, first = {}, 0, HUGE
  of_old, leases = held_under(old)
  looked = looked + 1 + #of_old
  for i, id in ipairs(of_old) do
    local _, cancel_asked, _, ends_at, pass, ready_ms = read(LEASE, leases[i])
    if ends_at <= now and #ids < most then
      add(taken, id, lease_text(token, cancel_asked, now, expires_at, pass, ready_ms, worker))
      ids[#ids + 1], ready[#ready + 1], gone = id, pack('<d', ready_ms), gone + 1
    else
      first = math.min(first, ends_at)
    end
  end
  if first == HUGE then
    forget_token(old)
  else
    call('ZADD', EXPIRY, first, old)
    let_go(old, gone)
  end
end
if #ids > 0 then
  batch('HSET', LEASES, taken)
  hold(token, ids, expires_at)
end
return { table.concat(ids), table.concat(ready), (#ids < most and looked <= TOKENS_MAX) and 1 or 0 }
