-- prelude: names, time and records that all scripts share.
--
-- KEYS[1] is `{namespace}:meta`. Every other key begins with the same hash tag, and so lies in the same slot; its name is made
-- here of names and ids that the store itself holds. Times are milliseconds of the Unix epoch by the server's clock.
local call = redis.call
local META = KEYS[1]
local ROOT = string.sub(META, 1, -5)
local JOBS, BODIES, IDS = ROOT .. 'jobs', ROOT .. 'bodies', ROOT .. 'ids'
local LEASES, HELD, EXPIRY, TOKENS = ROOT .. 'leases', ROOT .. 'held', ROOT .. 'expiry', ROOT .. 'tokens'
local FINISHED = ROOT .. 'finished'
local pack, read, sub = struct.pack, struct.unpack, string.sub
local ZERO, NONE = '0', {}
local HUGE = math.huge

-- Arguments of one command: Lua keeps them all on its stack, which has some 8,000 places.
local ARGS_MAX = 1000
-- Most priorities that one call looks at, jobs that a lane is asked for at once, errors that a job keeps.
local PRIORITIES_MAX, PREFETCH_MAX, ERRORS_MAX = 64, 128, 20

local SCHEDULED, LEASED, READY, PARKED, COMPLETED, DEAD, CANCELLED = 0, 1, 2, 3, 4, 5, 6
-- A record says WAITING of all that is in a lane, leased jobs included: what is leased stands in LEASES. It says BEHIND of a
-- version that waits for the older one, outside of its lane.
local WAITING, BEHIND = READY, PARKED
local REQUESTED, SUPERSEDED = 1, 2

local known = call('HMGET', META, 'clock', 'arrival')
local now
if known[1] then
  -- Tests make the clock stand and move it; nobody else does.
  now = tonumber(known[1])
else
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
-- As text, since Redis writes each number that a script hands it anew, which costs more than many a command.
local NOW_TEXT = string.format('%.0f', now)
local last_arrival, first_arrival = tonumber(known[2]) or 0, nil

-- The next arrival number: the time, in 1/1024 of a millisecond, and later than all before.
local function arrive()
  first_arrival = true
  last_arrival = math.max(last_arrival + 1, now * 1024)
  return last_arrival
end

-- Adds a pair to a list of arguments.
local function add(list, a, b)
  local n = #list
  list[n + 1] = a
  list[n + 2] = b
end

-- One command with many arguments, in bounded pieces, which are even and so keep pairs together.
local function batch(command, key, args, flag)
  for from = 1, #args, ARGS_MAX do
    local to = math.min(from + ARGS_MAX - 1, #args)
    if flag then call(command, key, flag, unpack(args, from, to)) else call(command, key, unpack(args, from, to)) end
  end
end

local function batch_get(command, key, fields)
  local found = {}
  for from = 1, #fields, ARGS_MAX do
    local part = call(command, key, unpack(fields, from, math.min(from + ARGS_MAX - 1, #fields)))
    for i = 1, #part do found[from + i - 1] = part[i] end
  end
  return found
end

-- A job's record: what changes in its life, then what does not: kind, key, unique key and its window, supersede key, version's
-- time and id. The body, which no script reads, stands apart.
local RECORD = '<BBBHHhHI4I4ddddc16Bc0Hc0Hc0dHc0dHc0'
local CHANGING, TAIL_AT = '<BBBHHhHI4I4dddd', 68
-- Bits of `notes`: whether it has checkpoints, and errors.
local HAS_STEPS, HAS_ERRORS = 1, 2
local NO_TOKEN = string.rep('\0', 16)

local function read_job(text)
  local state, reason, notes, queue, class, priority, weight, attempt, crashes, arrival, at, created, leased_at, settled, kind,
    key, unique, window, supersede, version_at, version = read(RECORD, text)
  return {
    state = state, reason = reason, notes = notes, queue = queue, class = class, priority = priority, weight = weight,
    attempt = attempt, crashes = crashes, arrival = arrival, at = at, created = created, leased_at = leased_at,
    settled = settled, kind = kind, key = key, unique = unique, window = window, supersede = supersede,
    version_at = version_at, version = version, tail = sub(text, TAIL_AT),
  }
end

local function job_text(job)
  return pack(CHANGING, job.state, job.reason, job.notes, job.queue, job.class, job.priority, job.weight, job.attempt,
    job.crashes, job.arrival, job.at, job.created, job.leased_at) .. job.settled .. job.tail
end

local function save(id, job)
  call('HSET', JOBS, id, job_text(job))
end

local function find(id)
  local text = call('HGET', JOBS, id)
  return text and read_job(text)
end

-- A lease: its token, a reason to stop or 0, when it was made and ends, the turn that the job had, for how long it had been
-- ready, and who holds it.
local LEASE = '<c16BddddBc0'
local function lease_text(token, cancel, leased_at, expires_at, pass, ready_ms, worker)
  return pack(LEASE, token, cancel, leased_at, expires_at, pass, ready_ms, #worker, worker)
end

-- What has been leased under a token: all ids in their order, how many of them still are, and a time before which none of those
-- expires. So a lease costs no entry of its own, and a renewal none at all.
local function hold(token, ids, expires_at)
  call('APPEND', ROOT .. 'l:' .. token, table.concat(ids))
  call('HINCRBY', TOKENS, token, #ids)
  call('ZADD', EXPIRY, 'NX', expires_at, token)
end

local function forget_token(token)
  call('DEL', ROOT .. 'l:' .. token)
  call('HDEL', TOKENS, token)
  call('ZREM', EXPIRY, token)
end

-- So many leases under a token have ended.
local function let_go(token, count)
  if call('HINCRBY', TOKENS, token, 0 - count) <= 0 then forget_token(token) end
end

-- The ids that are still leased under a token, in the order of their leasing, and their leases.
local function held_under(token)
  local all, asked, ids, leases = call('GET', ROOT .. 'l:' .. token), {}, {}, {}
  if not all then return ids, leases end
  for at = 1, #all, 16 do asked[#asked + 1] = sub(all, at, at + 15) end
  local found = batch_get('HMGET', LEASES, asked)
  for i, id in ipairs(asked) do
    if found[i] and sub(found[i], 1, 16) == token then ids[#ids + 1], leases[#leases + 1] = id, found[i] end
  end
  return ids, leases
end

-- A job as it stands in its lane: arrivals order those of one priority. Bit 0 of the last number: it has a version.
local MEMBER = '>I7HB'
local function member_of(id, job)
  return pack(MEMBER, job.arrival, job.weight, job.supersede ~= '' and 1 or 0) .. id
end

local function tag_of(queue) return pack('>H', queue) end

-- A lease stands in HELD among those of its queue and key, as the queue's tag, the key, a NUL, which no key has, and the job's id.

-- Fields of a class: its number, limit (-1: none), starts in a period (0: no throttle), period, whether it refuses, and the limit
-- that was configured last (-1: none, -2: never). Of a key's own settings: limit (-1: that of its class), whether it is paused.
local CLASS, OVERRIDE = '<HdddBd', '<dB'

local queues = {}
-- What is set for a queue, read once.
local function queue_of(id)
  local queue = queues[id]
  if queue then return queue end
  local set = call('HMGET', ROOT .. 'q:' .. id, 'limit', 'paused', 'resumed', 'group', 'starts', 'name')
  queue = {
    id = id, tag = tag_of(id), from = '[' .. tag_of(id), till = '(' .. tag_of(id), lane_root = ROOT .. 'w:' .. id .. ':', limit = tonumber(set[1]), paused = set[2] == '1', resumed = tonumber(set[3]) or 0, group = set[4],
    starts = tonumber(set[5]) or 0, name = set[6], classes = {}, named = {}, leased = {}, started = {}, lanes = {}, touched = {},
    waiting = 0, parked = 0, turns = {}, first_turns = {}, entering = {}, aged = {}, unaged = {}, noting = {}, unnoting = {},
    got = 0, raised = {}, has_overrides = call('HLEN', ROOT .. 'o:' .. id) > 0, has_parked = call('HLEN', ROOT .. 'p:' .. id) > 0,
  }
  local classes = call('HGETALL', ROOT .. 'c:' .. id)
  for i = 1, #classes, 2 do
    local number, limit, starts, period, refuses, configured = read(CLASS, classes[i + 1])
    local class = {
      id = number, name = classes[i], limit = limit < 0 and HUGE or limit, starts = starts, period = period,
      refuses = refuses == 1, configured = configured,
    }
    queue.has_classes = i > 1
    queue.classes[number] = class
    queue.named[class.name] = class
  end
  queues[id] = queue
  return queue
end

local function queue_named(name)
  local id = call('HGET', ROOT .. 'queues', name)
  return id and queue_of(tonumber(id)) or nil
end

local function all_queues()
  local named, list = call('HGETALL', ROOT .. 'queues'), {}
  for i = 2, #named, 2 do list[#list + 1] = tonumber(named[i]) end
  table.sort(list)
  return list
end

local woke = false
