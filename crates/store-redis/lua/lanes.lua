-- lanes: who may start, in which order, and what a key's limit and throttle leave room for.
--
-- A lane holds the waiting jobs of a key and class, best first. It stands in the queue's `r:` set of a priority, by its turn,
-- while it has room and its best job has that priority; so a full key costs the others nothing. How many of its jobs are parked
-- is noted in `p:`; all before them are ready. What is leased is counted from the leases, and nothing else decides a limit.

-- The lane of a key and class. Scripts make one for each key that they meet, so that it has few fields at first.
local function lane_of(queue, class, key)
  local name = class .. ':' .. key
  local lane = queue.lanes[name]
  if not lane then
    lane = {
      queue = queue, class = class, key = key, name = name, jobs = queue.lane_root .. name, added = 0, adding = false,
      is_touched = false,
    }
    queue.lanes[name] = lane
  end
  return lane
end

-- Has the lane judged at the end of the script, by `judge`.
local function touch(lane)
  if not lane.is_touched then
    lane.is_touched = true
    local touched = lane.queue.touched
    touched[#touched + 1] = lane
  end
end

local function leased_of_queue(queue)
  return call('ZLEXCOUNT', HELD, '[' .. tag_of(queue), '(' .. tag_of(queue + 1))
end

-- How many jobs of a key are leased, those included that this call is about to lease. Lanes of the same key share it.
local function leased_of(queue, key)
  local leased = queue.leased[key]
  if not leased then
    leased = call('ZLEXCOUNT', HELD, queue.from .. key .. '\0', queue.till .. key .. '\1')
    queue.leased[key] = leased
  end
  return leased + (queue.started[key] or 0)
end

-- The limit of the queue's group, and how many jobs of its queues are leased; nil without one.
local function group_of(queue)
  local text = queue.group and call('HGET', ROOT .. 'groups', queue.group)
  if not text then return nil end
  local group, leased = cjson.decode(text), 0
  if group.limit == cjson.null then return nil end
  for _, id in ipairs(group.queues) do leased = leased + leased_of_queue(id) + (queues[id] and queues[id].got or 0) end
  return group.limit, leased
end

-- A key's own limit, or else that of its class.
local function own_limit(lane, limit)
  if lane.limit then return lane.limit end
  lane.limit = limit
  local text = call('HGET', ROOT .. 'o:' .. lane.queue.id, lane.key)
  if text then
    local own, paused = read(OVERRIDE, text)
    if paused == 1 then lane.limit = 0 elseif own >= 0 then lane.limit = own end
  end
  return lane.limit
end

local function starts_key(lane) return ROOT .. 's:' .. lane.queue.id .. ':' .. lane.name end

-- How many starts the lane's throttle, if it has one, has left; those that have left the period are forgotten.
local function starts_left(lane)
  local class = lane.queue.classes[lane.class]
  if not class or class.starts == 0 then return HUGE end
  if not lane.starts then
    local key = starts_key(lane)
    call('ZREMRANGEBYSCORE', key, '-inf', now - class.period)
    lane.starts = class.starts - call('ZCARD', key)
  end
  return lane.starts
end

-- When the first start of the present period leaves it; nil without one.
local function period_ends(lane)
  local first = call('ZRANGE', starts_key(lane), 0, 0, 'WITHSCORES')
  return first[2] and first[2] + lane.queue.classes[lane.class].period
end

-- How many more jobs of the lane may start now.
local function room_of(lane)
  if lane.key == '' then return HUGE end
  local queue = lane.queue
  local class = queue.classes[lane.class]
  local limit = class and class.limit or HUGE
  if queue.has_overrides then limit = own_limit(lane, limit) end
  if limit == HUGE then return starts_left(lane) end
  return math.min(limit - leased_of(queue, lane.key), starts_left(lane))
end

-- The greatest turn leased so far at a priority: it never falls.
local function turn_of(queue, priority)
  local turn = queue.turns[priority]
  if not turn then
    turn = tonumber(call('HGET', ROOT .. 'v:' .. queue.id, priority)) or 0
    queue.turns[priority] = turn
  end
  return turn
end

-- The turn with which a lane comes to a line, by the weight of its first job; as text.
local function first_turn(queue, priority, weight)
  local of_priority = queue.first_turns[priority]
  if not of_priority then
    of_priority = {}
    queue.first_turns[priority] = of_priority
  end
  if not of_priority[weight] then
    of_priority[weight] = string.format('%.17g', turn_of(queue, priority) + 1 / weight)
  end
  return of_priority[weight]
end

-- Lets a lane stand in line at a priority, with a turn if it has none there.
local function enter(lane, priority, pass)
  local of_priority = lane.queue.entering[priority]
  if not of_priority then
    of_priority = {}
    lane.queue.entering[priority] = of_priority
  end
  add(of_priority, pass, lane.name)
end

-- The best waiting job of a lane: as it stands there, and its priority.
local function head_of(lane)
  local head = call('ZRANGE', lane.jobs, 0, 0, 'WITHSCORES')
  -- Not `-head[2]`, which would make a priority of -0.
  if head[1] then return head[1], 0 - head[2] end
end

-- Lets a lane stand in line at the priority of its best job.
local function enter_head(lane)
  local member, priority = head_of(lane)
  if member then
    local _, weight = read(MEMBER, member)
    enter(lane, priority, first_turn(lane.queue, priority, weight))
  end
end

local scores = {}
-- The score of a priority in a lane, as text: the best job comes first.
local function score_of(priority)
  local score = scores[priority]
  if not score then
    score = string.format('%.0f', 0 - priority)
    scores[priority] = score
  end
  return score
end

-- Puts a job into its lane, as `member`, behind those of its priority that have arrived before it.
local function put(lane, member, priority)
  if lane.adding then add(lane.adding, score_of(priority), member) else lane.adding = { score_of(priority), member } end
  lane.added = lane.added + 1
  touch(lane)
end

-- Lets a lane stand in line at the priorities of jobs that were put into it.
local function enter_with(lane, added)
  local last
  for i = 1, #added, 2 do
    local priority = 0 - added[i]
    if priority ~= last then
      local _, weight = read(MEMBER, added[i + 1])
      enter(lane, priority, first_turn(lane.queue, priority, weight))
      last = priority
    end
  end
end

local function take_out(lane, id, job)
  lane.added = lane.added - call('ZREM', lane.jobs, member_of(id, job))
  lane.is_shortened = true
  touch(lane)
end

-- Notes that the lane is to be looked at when its throttle has a start for it again. Without a start in the present period
-- there is nothing to wait for: the next start notes it.
local function watch(lane)
  local ends = period_ends(lane)
  if ends then call('ZADD', ROOT .. 't:' .. lane.queue.id, 'LT', ends, lane.name) end
end

-- Decides how many of a lane's jobs are ready, after its jobs, leases or limit have changed. Answers how many parked ones became
-- so, at most `most`.
local function judge(lane, was, most)
  local queue = lane.queue
  lane.is_touched = false
  -- Where nothing is parked, the end of a lease changes nothing, and a start only takes one away.
  if was == 0 and lane.is_freed and lane.added == 0 and not lane.is_shortened then return 0 end
  if was == 0 and lane.taken and lane.taken > 0 and (lane.is_emptied or room_of(lane) > 0) then
    queue.waiting, lane.added = queue.waiting + lane.added, 0
    if lane.is_emptied then queue.unaged[#queue.unaged + 1] = lane.name end
    return 0
  end
  local waiting, added = nil, lane.adding
  if added then
    if #added == 2 then call('ZADD', lane.jobs, added[1], added[2]) else batch('ZADD', lane.jobs, added) end
    lane.adding = false
  end
  local room = room_of(lane)
  -- What has neither a limit nor parked jobs needs no counting.
  local parked = 0
  if room ~= HUGE or was > 0 or lane.is_shortened or lane.added ~= 0 then
    waiting = call('ZCARD', lane.jobs)
    parked = math.max(0, waiting - math.max(0, room))
    if was - parked > most then lane.is_cut, parked = true, was - most end
  end
  if parked ~= was then
    if parked > 0 then add(queue.noting, lane.name, parked) else queue.unnoting[#queue.unnoting + 1] = lane.name end
    queue.parked = queue.parked + parked - was
    queue.has_parked = true
  end
  queue.waiting = queue.waiting + lane.added
  if waiting then
    local ready, before = waiting - parked, waiting - lane.added - was
    if ready > before then woke = true end
    if ready <= 0 then
      if before > 0 then queue.unaged[#queue.unaged + 1] = lane.name end
    elseif before <= 0 then
      add(queue.aged, NOW_TEXT, lane.name)
      enter_head(lane)
    else
      if lane.is_shortened then enter_head(lane) end
      if added then enter_with(lane, added) end
    end
    -- A released job has its turn back.
    for priority, pass in pairs(ready > 0 and lane.returning or NONE) do
      call('ZADD', ROOT .. 'r:' .. queue.id .. ':' .. priority, 'LT', pass, lane.name)
      enter(lane, priority, pass)
    end
    if parked > 0 and lane.starts then watch(lane) end
  end
  lane.added = 0
  if lane.returning then lane.returning = nil end
  if lane.is_shortened then lane.is_shortened = nil end
  return math.max(0, was - parked)
end

-- Judges all lanes that were touched, in bounded batches, and writes what follows for the queue. Answers how many parked jobs
-- became ready.
local function judge_all(most)
  local freed, left = 0, most or HUGE
  for id, queue in pairs(queues) do
    local touched = queue.touched
    if #touched > 0 then
      queue.touched = {}
      local names, noted = {}, nil
      for i = 1, #touched do names[i] = touched[i].name end
      if queue.has_parked then noted = batch_get('HMGET', ROOT .. 'p:' .. id, names) end
      for i = 1, #touched do
        local n = judge(touched[i], tonumber(noted and noted[i]) or 0, left)
        freed, left = freed + n, left - n
      end
    end
    for priority, lanes in pairs(queue.entering) do
      batch('ZADD', ROOT .. 'r:' .. id .. ':' .. priority, lanes, 'NX')
      call('ZADD', ROOT .. 'rp:' .. id, 0 - priority, priority)
    end
    batch('ZREM', ROOT .. 'a:' .. id, queue.unaged)
    batch('ZADD', ROOT .. 'a:' .. id, queue.aged)
    batch('HSET', ROOT .. 'p:' .. id, queue.noting)
    batch('HDEL', ROOT .. 'p:' .. id, queue.unnoting)
    if queue.waiting ~= 0 then call('HINCRBY', ROOT .. 'q:' .. id, 'waiting', queue.waiting) end
    if queue.parked ~= 0 then call('HINCRBY', ROOT .. 'q:' .. id, 'parkings', queue.parked) end
    queue.waiting, queue.parked, queue.entering = 0, 0, {}
    queue.aged, queue.unaged, queue.noting, queue.unnoting = {}, {}, {}, {}
  end
  return freed
end

-- The last thing that a script does: keeps the arrivals, and wakes who waits.
local function close()
  if first_arrival then call('HSET', META, 'arrival', string.format('%.0f', last_arrival)) end
  if woke then call('PUBLISH', ROOT .. 'wake', '') end
end

-- How long until something of these queues is due; -1 when nothing waits for a time.
local function next_due(ids)
  local first = HUGE
  for _, id in ipairs(ids) do
    for _, kind in ipairs({ 'd:', 't:', 'cn:' }) do
      local head = call('ZRANGE', ROOT .. kind .. id, 0, 0, 'WITHSCORES')
      if head[2] then first = math.min(first, tonumber(head[2])) end
    end
  end
  if first == HUGE then return -1 end
  return math.max(0, first - now)
end
