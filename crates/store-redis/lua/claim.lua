-- claim: leases up to so many jobs that may start, best first.
--
-- ARGV: the token, who asks, how long the leases run, how many jobs, which part of the call this is (0 for the first), whether
-- parts follow, a mark of this very call, how long a key may wait, then names of queues. A repeated claim answers what the
-- first has leased and leases nothing: its later parts find another call's mark. Answers a name that no queue has or '', the ids,
-- for how long each had been ready, whether more may be, and how long until something is due.
local token, worker, lease_ms, left = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local part, parts_follow, mark, max_wait = tonumber(ARGV[5]), ARGV[6] == '1', ARGV[7], tonumber(ARGV[8])
local NAMES_AT = 9
-- One start in so many goes to the lane that has waited longest, while there is one that has waited too long; how many of those
-- are looked at.
local STARVED_EVERY, STARVED_MAX = 10, 200
-- Rounds of one priority, and lanes that a round reads. A lane leaves the line as soon as it is full, so that a round meets few
-- that may not start; what is left is for the next claim, which `more` asks for.
local ROUNDS_MAX, WINDOW_MAX = 10, 256
-- Longer than the parts of a call are under way.
local MARK_MS = 60000
-- Starts are forgotten as they leave the period; the key goes with the last, later than any clock errs.
local STARTS_KEPT_MS = 24 * 60 * 60 * 1000

local asked, asked_ids = {}, {}
for i = NAMES_AT, #ARGV do
  local queue = queue_named(ARGV[i])
  if not queue then return { ARGV[i], '', '', 0, -1 } end
  asked[#asked + 1], asked_ids[#asked_ids + 1] = queue, queue.id
end

local mark_key = ROOT .. 'l:' .. token .. ':m'
if part == 0 then
  if call('EXISTS', ROOT .. 'l:' .. token) == 1 then
    local held, of_held = held_under(token)
    local ready = {}
    for i, lease in ipairs(of_held) do
      local _, _, _, _, _, ready_ms = read(LEASE, lease)
      ready[i] = pack('<d', ready_ms)
    end
    if #held > 0 then return { '', table.concat(held), table.concat(ready), 0, next_due(asked_ids) } end
  end
  if parts_follow then call('SET', mark_key, mark, 'PX', MARK_MS) end
elseif call('GET', mark_key) ~= mark then
  return { '', '', '', -1, -1 }
end

local count, ids, ready, leases, members, versions, starts = 0, {}, {}, {}, {}, {}, {}
local expires_at = now + lease_ms
-- What is the same of all leases of the call: see `LEASE`.
local LEASE_FRONT, LEASE_BACK = pack('<c16Bdd', token, 0, now, expires_at), pack('<Bc0', #worker, worker)
-- A lane's place among the longest-waiting ones is kept to this many milliseconds.
local SINCE_MS = 1000

-- The next job of a lane that this call has not taken: as it stands there, and its priority. What is taken stays there until
-- the end of the call.
local function peek(lane)
  local at = (lane.taken - lane.base) * 2 + 1
  if not lane.members or at > #lane.members then
    if lane.members and #lane.members < 2 * lane.asked then return nil end
    lane.asked = lane.asked > 0 and math.min(lane.asked * 8, PREFETCH_MAX) or 2
    lane.base, at = lane.taken, 1
    lane.members = call('ZRANGE', lane.jobs, lane.taken, lane.taken + lane.asked - 1, 'WITHSCORES')
  end
  local member = lane.members[at]
  if member then return member, 0 - lane.members[at + 1] end
end

local function take(lane, member, priority, pass)
  local queue = lane.queue
  local arrival, _, flags = read(MEMBER, member)
  local id = sub(member, 11)
  local numbers = pack('<dd', pass, math.max(0, now - math.max(lane.since, math.floor(arrival / 1024))))
  count = count + 1
  ids[count], ready[count] = id, sub(numbers, 9)
  leases[2 * count - 1], leases[2 * count] = id, LEASE_FRONT .. numbers .. LEASE_BACK
  members[2 * count - 1], members[2 * count] = ZERO, queue.tag .. lane.key .. '\0' .. id
  if flags == 1 then versions[#versions + 1] = id end
  lane.taken = lane.taken + 1
  if lane.key ~= '' then
    queue.started[lane.key] = (queue.started[lane.key] or 0) + 1
    if lane.starts then
      lane.starts = lane.starts - 1
      starts[lane] = starts[lane] or {}
      add(starts[lane], now, token .. id)
    end
  end
  if pass > turn_of(queue, priority) then queue.turns[priority] = pass end
  queue.raised[priority] = true
  touch(lane)
end

-- What follows a start in a line: the lane's next turn there, or nil when it has none.
local function next_turn(lane, priority, pass)
  local member, of_priority = peek(lane)
  if not member then
    lane.is_emptied = true
    return nil
  end
  if room_of(lane) <= 0 then return nil end
  local arrival, weight = read(MEMBER, member)
  lane.next_since = math.floor(arrival / 1024)
  if of_priority == priority then return pass + 1 / weight end
  -- At once, for this call comes to that line yet.
  local queue = lane.queue
  call('ZADD', ROOT .. 'r:' .. queue.id .. ':' .. of_priority, 'NX', turn_of(queue, of_priority) + 1 / weight, lane.name)
  call('ZADD', ROOT .. 'rp:' .. queue.id, 0 - of_priority, of_priority)
end

-- The lane of this name. With all that a claim notes of it from the start, so that the table does not grow.
local function lane_named(queue, name)
  local lane = queue.lanes[name]
  if lane then return lane end
  local at = string.find(name, ':', 1, true)
  lane = {
    queue = queue, class = tonumber(sub(name, 1, at - 1)), key = sub(name, at + 1), name = name,
    jobs = queue.lane_root .. name, added = 0, adding = false, is_touched = false, taken = 0, members = false, base = 0,
    asked = 0, since = 0, next_since = 0, is_emptied = false,
  }
  queue.lanes[name] = lane
  return lane
end

-- Starts what has waited too long though it could have started, so that no stream of higher priorities or of newcomers holds a
-- key back for ever.
local function from_starved(queue, want)
  local latest = now - max_wait
  local share = math.floor((queue.starts % STARVED_EVERY + want) / STARVED_EVERY)
  -- The time before the end of a pause does not count.
  if share == 0 or queue.resumed > latest then return 0 end
  local old = call('ZRANGEBYSCORE', ROOT .. 'a:' .. queue.id, '-inf', latest, 'WITHSCORES', 'LIMIT', 0, STARVED_MAX)
  local got = 0
  for i = 1, #old, 2 do
    if got == share then break end
    local lane = lane_named(queue, old[i])
    lane.since = tonumber(old[i + 1])
    local member, priority = peek(lane)
    if member and room_of(lane) > 0 then
      local line = ROOT .. 'r:' .. queue.id .. ':' .. priority
      local pass = tonumber(call('ZSCORE', line, lane.name)) or turn_of(queue, priority)
      take(lane, member, priority, pass)
      got = got + 1
      local turn = next_turn(lane, priority, pass)
      if turn then call('ZADD', line, turn, lane.name) else call('ZREM', line, lane.name) end
    else
      -- A limit was lowered since.
      touch(lane)
    end
  end
  return got
end

-- One round: takes from the first lanes of a line in the order of their turns. Answers how many, and whether the line has more.
local function one_round(queue, priority, line, want)
  local window = math.min(want + 1, WINDOW_MAX)
  local head = call('ZRANGE', line, 0, window - 1, 'WITHSCORES')
  if #head == 0 then
    call('ZREM', ROOT .. 'rp:' .. queue.id, priority)
    return 0, false
  end
  local names, passes = {}, {}
  for i = 1, #head / 2 do
    names[i], passes[i] = head[2 * i - 1], tonumber(head[2 * i])
  end
  local since = call('ZMSCORE', ROOT .. 'a:' .. queue.id, unpack(names))
  -- Lanes beyond the window may come before a second turn of one in it.
  local bound = #names == window and passes[#passes] or HUGE
  -- Second and later turns, in their order.
  local later, turns, from, last = {}, {}, 1, 0
  local at, got, leaving = 1, 0, {}
  while got < want do
    local lane, pass
    local now_pass, later_pass = passes[at], turns[from]
    if now_pass and (not later_pass or now_pass <= later_pass) then
      lane, pass = lane_named(queue, names[at]), now_pass
      if lane.since == 0 then lane.since = tonumber(since[at]) or 0 end
      at = at + 1
    elseif later_pass and later_pass <= bound then
      lane, pass = later[from], later_pass
      from = from + 1
    else
      break
    end
    local member, of_priority = peek(lane)
    local turn
    if member and room_of(lane) > 0 then
      if of_priority == priority then
        take(lane, member, priority, pass)
        got = got + 1
      end
      turn = next_turn(lane, priority, pass)
    else
      touch(lane)
    end
    if turn then
      last = last + 1
      local i = last
      while i > from and turns[i - 1] > turn do
        later[i], turns[i] = later[i - 1], turns[i - 1]
        i = i - 1
      end
      later[i], turns[i] = lane, turn
    else
      leaving[#leaving + 1] = lane.name
    end
  end
  local moved = {}
  for i = from, last do add(moved, turns[i], later[i].name) end
  batch('ZADD', line, moved)
  batch('ZREM', line, leaving)
  return got, #names == window or #moved > 0
end

-- Takes from the lines of a queue, the highest priority first. Answers how many, and whether some were not looked at.
local function from_lines(queue, want)
  local got, after = 0, '-inf'
  for _ = 1, PRIORITIES_MAX do
    local best = call('ZRANGEBYSCORE', ROOT .. 'rp:' .. queue.id, after, '+inf', 'LIMIT', 0, 1)
    if not best[1] then return got, false end
    local priority, line, has_more = tonumber(best[1]), ROOT .. 'r:' .. queue.id .. ':' .. best[1], true
    for _ = 1, ROUNDS_MAX do
      if got == want or not has_more then break end
      local taken
      taken, has_more = one_round(queue, priority, line, want - got)
      got = got + taken
    end
    if got == want or has_more then return got, true end
    after = '(' .. 0 - priority
  end
  return got, true
end

-- How many more jobs of the queue and its group may be leased, whatever their keys.
local function room_of_queue(queue)
  local room = HUGE
  if queue.limit then room = queue.limit - leased_of_queue(queue.id) - queue.got end
  local limit, leased = group_of(queue)
  if limit then room = math.min(room, limit - leased) end
  return room
end

local unseen = {}
for _, queue in ipairs(asked) do
  if not queue.paused then
    local room = room_of_queue(queue)
    local want = math.min(left, math.max(0, room))
    if want > 0 then
      local got = from_starved(queue, want)
      local taken, has_more = 0, true
      if got < want then taken, has_more = from_lines(queue, want - got) end
      got = got + taken
      queue.got = queue.got + got
      left = left - got
      if has_more and got < room then unseen[#unseen + 1] = queue end
    elseif room > 0 then
      unseen[#unseen + 1] = queue
    end
  end
end

-- Writes the leases, then what they mean for their lanes.
if count > 0 then
  batch('HSET', LEASES, leases)
  batch('ZADD', HELD, members)
  hold(token, ids, expires_at)
  for _, id in ipairs(versions) do
    local job = find(id)
    call('HSET', ROOT .. 'vr:' .. job.queue, job.supersede, id)
  end
  for lane, times in pairs(starts) do
    batch('ZADD', starts_key(lane), times)
    call('PEXPIRE', starts_key(lane), lane.queue.classes[lane.class].period + STARTS_KEPT_MS)
  end
end
for id, queue in pairs(queues) do
  if queue.got > 0 then
    call('HINCRBY', ROOT .. 'q:' .. id, 'starts', queue.got)
    local turns, aged = {}, {}
    for priority in pairs(queue.raised) do add(turns, priority, string.format('%.17g', queue.turns[priority])) end
    call('HSET', ROOT .. 'v:' .. id, unpack(turns))
    for _, lane in ipairs(queue.touched) do
      if lane.taken > 0 then
        call('ZREMRANGEBYRANK', lane.jobs, 0, lane.taken - 1)
        lane.added = lane.added - lane.taken
        if lane.next_since >= lane.since + SINCE_MS then add(aged, lane.next_since, lane.name) end
      end
    end
    -- Whose next job came later waits since then.
    if #aged > 0 then
      for i = 1, #aged, ARGS_MAX do
        call('ZADD', ROOT .. 'a:' .. id, 'XX', 'GT', unpack(aged, i, math.min(i + ARGS_MAX - 1, #aged)))
      end
    end
  end
end
judge_all()
local more = 0
for _, queue in ipairs(unseen) do
  if call('ZCARD', ROOT .. 'a:' .. queue.id) > 0 then more = 1 end
end
close()
return { '', table.concat(ids), table.concat(ready), more, next_due(asked_ids) }
