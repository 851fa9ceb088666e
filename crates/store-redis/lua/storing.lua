-- storing: stores jobs, as if each came by itself in their order.
--
-- ARGV: most milliseconds to `run_at`, how many names of queues, the names, how many of classes, the names, then for each job its
-- id, what is asked for it, and its body. Answers a code for each, 0 stored, 1 there already, 2 unknown queue, 3 unknown class,
-- 4 no attempts, 5 too far away, 6 superseded, 7 refused by its throttle; and for each code of 1 or 6 whose, of 7 for how long.
local ASKED, ASKED_BYTES = '<HHhHdB', 17
local SPEC, KEY = '<Bc0Hc0Hc0dHc0dHc0', '<Bc0Hc0'
-- What is said of a job beside: that it has no attempts, or that it has neither a unique key nor a version.
local NO_ATTEMPTS, IS_PLAIN = 1, 0

local function enqueue()
  local run_at_max, at = tonumber(ARGV[1]), 2
  local function names()
    local count, list = tonumber(ARGV[at]), {}
    for i = 1, count do list[i] = ARGV[at + i] end
    at = at + count + 1
    return list
  end
  local queue_names, class_names = names(), names()
  local asked_queues = {}
  for i, name in ipairs(queue_names) do asked_queues[i] = queue_named(name) or false end

  local first, count = at, (#ARGV - at + 1) / 3
  local ids = {}
  for i = 1, count do ids[i] = ARGV[first + 3 * (i - 1)] end
  local stored = batch_get('HMGET', JOBS, ids)
  local seen, codes, more = {}, {}, {}
  local records, bodies, listed, due = {}, {}, {}, {}

  -- Writes what has been gathered, so that what follows can find it.
  local function flush()
    batch('HSET', JOBS, records)
    batch('HSET', BODIES, bodies)
    batch('ZADD', IDS, listed)
    for queue, jobs in pairs(due) do batch('ZADD', ROOT .. 'd:' .. queue, jobs) end
    records, bodies, listed, due = {}, {}, {}, {}
    judge_all()
  end

  -- Whether a throttle refuses a job that would have to wait: then for how long.
  local function refusal(queue, class, key)
    if not class or class.starts == 0 or not class.refuses then return nil end
    local lane = lane_of(queue, class.id, key)
    local waiting = call('ZCARD', lane.jobs) + (lane.adding and #lane.adding / 2 or 0)
    if starts_left(lane) - waiting > 0 then return nil end
    return (period_ends(lane) or now + class.period) - now
  end

  local function store(i, id, spec, body)
    local queue_at, class_at, priority, weight, run_at, notes = read(ASKED, spec)
    local queue = asked_queues[queue_at]
    if not queue then return 2 end
    local class = class_at > 0 and queue.named[class_names[class_at]]
    if class == nil then return 3 end
    if notes == NO_ATTEMPTS then return 4 end
    if run_at > now + run_at_max then return 5 end
    if stored[i] or seen[id] then return 1, id end
    local tail = sub(spec, ASKED_BYTES + 1)
    if notes == IS_PLAIN and run_at <= now and not (class and class.refuses) then
      local _, key = read(KEY, tail)
      local arrival, class_id = arrive(), class and class.id or 0
      put(lane_of(queue, class_id, key), pack(MEMBER, arrival, weight, 0) .. id, priority)
      seen[id] = true
      add(records, id, pack(CHANGING, WAITING, 0, 0, queue.id, class_id, priority, weight, 1, 0, arrival, now, now, 0)
        .. NO_TOKEN .. tail)
      add(bodies, id, body)
      add(listed, ZERO, id)
      return 0
    end
    local _, key, unique, window, supersede, version_at, version = read(SPEC, tail)
    if supersede ~= '' then
      local newest_at, newest, newest_version = newest_of(queue.id, supersede)
      if newest_at == version_at and newest_version == version then return 1, newest end
      if newest_at and version_at < newest_at then return 6, newest end
    end
    local holder = holder_of(queue.id, unique, supersede)
    if holder then return 1, holder end
    local is_later = run_at > now
    local wait = not is_later and refusal(queue, class, key)
    if wait then return 7, wait end

    seen[id] = true
    local job = {
      state = SCHEDULED, reason = 0, notes = 0, queue = queue.id, class = class and class.id or 0, priority = priority,
      weight = weight, attempt = 1, crashes = 0, arrival = 0, at = run_at, created = now, leased_at = 0, settled = NO_TOKEN,
      key = key, unique = unique, window = window, supersede = supersede, version_at = version_at, version = version,
      tail = tail,
    }
    if supersede ~= '' then
      local _, older = newest_of(queue.id, supersede)
      flush()
      local running = call('HGET', ROOT .. 'vr:' .. queue.id, supersede)
      if running then cancel(running, find(running), SUPERSEDED) end
      local waiting = older and older ~= running and find(older)
      if waiting then cancel(older, waiting, SUPERSEDED) end
      remember_version(id, job)
    end
    take_unique(id, job)
    if is_later then
      due[queue.id] = due[queue.id] or {}
      add(due[queue.id], run_at, id)
    else
      place(id, job)
    end
    add(records, id, job_text(job))
    add(bodies, id, body)
    add(listed, ZERO, id)
    return 0
  end

  for i = 1, count do
    local at_job = first + 3 * (i - 1)
    local code, about = store(i, ARGV[at_job], ARGV[at_job + 1], ARGV[at_job + 2])
    codes[i] = string.char(code)
    if about then more[#more + 1] = about end
  end
  flush()
  close()
  return { table.concat(codes), more }
end
