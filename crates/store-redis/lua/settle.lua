-- settle: ends leases.
--
-- ARGV: of each settlement the job, the token and the action (1 complete, 2 retry, 3 bury, 4 release, 5 cancel); and of all but
-- the first action the reason, the delay, attempts and crashes that it costs, the kind of the error or 0, its attempt and its
-- message. Answers a byte for each: 1 when it holds, now or since an earlier call with the same lease.
local LEAD, LEAD_BYTES = '<c16c16B', 33
local MORE, MORE_BYTES = '<BdI4I4BI4', 22
local SETTLED_AT = 52
local ERROR = '<I4Bd'

local ids = {}
for i = 1, #ARGV do ids[i] = sub(ARGV[i], 1, 16) end
local leases, texts = batch_get('HMGET', LEASES, ids), batch_get('HMGET', JOBS, ids)
local answers, done = {}, {}
local ended, held, by_token, records, finished, freed, versions = {}, {}, {}, {}, {}, {}, {}

local function keep_error(id, job, kind, attempt, message)
  local errors = ROOT .. 'e:' .. id
  call('RPUSH', errors, pack(ERROR, attempt, kind, now) .. message)
  call('LTRIM', errors, 0 - ERRORS_MAX, -1)
  if job.notes < HAS_ERRORS then job.notes = job.notes + HAS_ERRORS end
end

-- Where in a record the fields stand that a completion changes or asks for.
local NOTES_ON, TEXTS, COMPLETION = '<xxBHH', '<Bc0Hc0H', pack('<BB', COMPLETED, 0)
local NOW = pack('<d', now)

-- Notes that a lease ends, for all that follows once all are written.
local function end_lease(id, token, queue_id, class, key)
  local queue = queue_of(queue_id)
  local n = #ended + 1
  ended[n], held[n] = id, queue.tag .. key .. '\0' .. id
  by_token[token] = (by_token[token] or 0) + 1
  queue.ended = (queue.ended or 0) + 1
  if key ~= '' then
    local lane = lane_of(queue, class, key)
    lane.is_freed = true
    touch(lane)
    -- A key's leases count for all of its lanes.
    if queue.has_classes then freed[#freed + 1] = lane end
  end
end

-- Completes a job that has neither checkpoints nor a unique key nor versions, as nearly all are; whether it was one.
local function complete(id, token, lease, text)
  local notes, queue, class = read(NOTES_ON, text)
  local _, key, unique_bytes, at = read(TEXTS, text, TAIL_AT)
  if notes % 2 == HAS_STEPS or unique_bytes > 0 or read('<H', text, at + 8) > 0 then return false end
  end_lease(id, token, queue, class, key)
  add(finished, NOW_TEXT, id)
  add(records, id, COMPLETION .. sub(text, 3, 27) .. NOW .. sub(text, 36, 43) .. sub(lease, 18, 25) .. token
    .. sub(text, TAIL_AT))
  return true
end

local function apply(id, token, action, lease, text, asked)
  local _, cancel_asked, leased_at, _, pass = read(LEASE, lease)
  local job = read_job(text)
  job.leased_at, job.settled = leased_at, token
  end_lease(id, token, job.queue, job.class, job.key)
  if job.supersede ~= '' then add(versions, job.queue, job.supersede) end
  local reason, delay, attempts, crashes, kind, attempt = 0, 0, 0, 0, 0, 0
  if action ~= 1 then
    reason, delay, attempts, crashes, kind, attempt = read(MORE, asked, LEAD_BYTES + 1)
    if kind > 0 then keep_error(id, job, kind, attempt, sub(asked, LEAD_BYTES + MORE_BYTES + 1)) end
  end
  job.crashes = job.crashes + crashes
  if action == 1 then
    job.state, job.at = COMPLETED, now
    add(finished, now, id)
    drop_checkpoints(id, job)
    end_unique(id, job, job.window)
  elseif action == 5 or cancel_asked > 0 then
    -- A job that was told to stop is not run again, however its attempt ended, its worker's death included.
    finish(id, job, CANCELLED, action == 5 and reason or cancel_asked)
  elseif action == 3 then
    job.attempt = job.attempt + attempts
    finish(id, job, DEAD, reason)
  elseif action == 2 then
    job.attempt = job.attempt + attempts
    job.state, job.at = SCHEDULED, now + delay
    call('ZADD', ROOT .. 'd:' .. job.queue, job.at, id)
  else
    -- Back at once, with the turn and arrival that it had.
    job.state, job.at = WAITING, now
    local lane = lane_of(queue_of(job.queue), job.class, job.key)
    put(lane, member_of(id, job), job.priority)
    lane.returning = lane.returning or {}
    lane.returning[job.priority] = math.min(lane.returning[job.priority] or HUGE, pass)
  end
  add(records, id, job_text(job))
end

for i = 1, #ARGV do
  local id, token, action = read(LEAD, ARGV[i])
  local holds = false
  if done[id] then
    holds = done[id] == token
  elseif leases[i] and sub(leases[i], 1, 16) == token then
    if action ~= 1 or not complete(id, token, leases[i], texts[i]) then
      apply(id, token, action, leases[i], texts[i], ARGV[i])
    end
    done[id], holds = token, true
  elseif texts[i] then
    holds = sub(texts[i], SETTLED_AT, SETTLED_AT + 15) == token
  end
  answers[i] = holds and '\1' or '\0'
end

if #ended > 0 then
  batch('HDEL', LEASES, ended)
  batch('ZREM', HELD, held)
  for token, count in pairs(by_token) do let_go(token, count) end
  batch('HSET', JOBS, records)
  batch('ZADD', FINISHED, finished)
  for i = 1, #versions, 2 do
    call('HDEL', ROOT .. 'vr:' .. versions[i], versions[i + 1])
    let_newer_in(versions[i], versions[i + 1])
  end
  for _, one in ipairs(freed) do
    local queue = one.queue
    for number in pairs(queue.classes) do
      local lane = lane_of(queue, number, one.key)
      if not lane.is_touched and call('EXISTS', lane.jobs) == 1 then
        lane.is_freed = true
        touch(lane)
      end
    end
  end
  -- Where a queue or group was at its limit, jobs that were ready all along may start now.
  for id, queue in pairs(queues) do
    if queue.limit and queue.limit <= leased_of_queue(id) + (queue.ended or 0) then woke = true end
    local limit, leased = group_of(queue)
    if limit and limit <= leased + #ended then woke = true end
  end
  judge_all()
  close()
end
return table.concat(answers)
