-- renew: extends leases. ARGV: by how long from now, then of each lease the job and the token. Answers a byte for each: 0 lost,
-- 1 extended, and above that 1 more than the reason to stop.
local expires_at, ids, answers, kept = now + tonumber(ARGV[1]), {}, {}, {}
for i = 2, #ARGV do ids[i - 1] = sub(ARGV[i], 1, 16) end
local leases = batch_get('HMGET', LEASES, ids)
for i, id in ipairs(ids) do
  local answer = 0
  if leases[i] and sub(leases[i], 1, 16) == sub(ARGV[i + 1], 17) then
    local token, cancel_asked, leased_at, _, pass, ready_ms, worker = read(LEASE, leases[i])
    add(kept, id, lease_text(token, cancel_asked, leased_at, expires_at, pass, ready_ms, worker))
    answer = 1 + cancel_asked
  end
  answers[i] = string.char(answer)
end
batch('HSET', LEASES, kept)
return table.concat(answers)
