-- gcra: takes one request of a rate, by the server's clock, or says how long until there is one.
-- KEYS: the rate of one caller. ARGV: microseconds a request, requests at once.
-- Answers {1 if it was taken, microseconds until the next may come}.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local whole = burst * interval

local function keep(full_at)
  redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000))
end

-- The time at which all of the burst is there again. Nothing else that may stand under this name fails or counts.
local stored = redis.pcall('GET', KEYS[1])
local full_at = tonumber(type(stored) == 'string' and stored or nil) or now
if not (full_at > now) then full_at = now end
-- Later than this rate can make it: of a slower rate, of a clock that was set back, or garbage. It is written down, since a
-- refusal writes nothing, and the caller would be kept out until then.
if full_at > now + whole then
  full_at = now + whole
  keep(full_at)
end
local wait = full_at + interval - whole - now
if wait > 0 then return {0, wait} end
keep(full_at + interval)
return {1, 0}
