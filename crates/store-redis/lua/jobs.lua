-- jobs: how a job comes to wait and how it ends, with its unique key and its version.

-- A unique key: its holder, until when it stays taken (0: while that lives), and the holder's supersede key. The newest version
-- of a supersede key: its time, its job and its id.
local UNIQUE, VERSION = '<c16d', '<dc16'
-- How long the newest version of a supersede key is remembered: 30 days.
local VERSIONS_KEPT_MS = 30 * 24 * 60 * 60 * 1000

local function take_unique(id, job)
  if job.unique ~= '' then
    call('HSET', ROOT .. 'u:' .. job.queue, job.unique, pack(UNIQUE, id, 0) .. job.supersede)
    call('ZREM', ROOT .. 'ux', tag_of(job.queue) .. job.unique)
  end
end

-- Ends what a job holds of its unique key: at once, or when the window after its completion has passed.
local function end_unique(id, job, window)
  if job.unique == '' then return end
  local keys = ROOT .. 'u:' .. job.queue
  local held = call('HGET', keys, job.unique)
  if not held or sub(held, 1, 16) ~= id then return end
  if window > 0 then
    call('HSET', keys, job.unique, pack(UNIQUE, id, now + window) .. job.supersede)
    call('ZADD', ROOT .. 'ux', now + window, tag_of(job.queue) .. job.unique)
  else
    call('HDEL', keys, job.unique)
  end
end

-- Who has a unique key and does not leave it to a job of this supersede key.
local function holder_of(queue, unique, supersede)
  if unique == '' then return nil end
  local held = call('HGET', ROOT .. 'u:' .. queue, unique)
  if not held then return nil end
  local id, till = read(UNIQUE, held)
  local of = sub(held, 25)
  if (till ~= 0 and till <= now) or (of ~= '' and of == supersede) then return nil end
  return id
end

-- The newest version of a supersede key: its time, job and id.
local function newest_of(queue, supersede)
  local text = supersede ~= '' and call('HGET', ROOT .. 'n:' .. queue, supersede)
  if text then
    local at, id = read(VERSION, text)
    return at, id, sub(text, 25)
  end
end

-- The job of a newer version than this one, if there is one.
local function superseded_by(id, job)
  local _, newest = newest_of(job.queue, job.supersede)
  if newest and newest ~= id then return newest end
end

local function remember_version(id, job)
  if job.supersede ~= '' then
    call('HSET', ROOT .. 'n:' .. job.queue, job.supersede, pack(VERSION, job.version_at, id) .. job.version)
    call('ZADD', ROOT .. 'nx', now + VERSIONS_KEPT_MS, tag_of(job.queue) .. job.supersede)
  end
end

-- Lets a job wait for its turn from now on; a version behind the older one that is leased. The caller saves it.
local function place(id, job)
  local queue = queue_of(job.queue)
  job.arrival, job.at, job.state = arrive(), now, WAITING
  if job.supersede ~= '' and call('HEXISTS', ROOT .. 'vr:' .. job.queue, job.supersede) == 1 then
    job.state = BEHIND
    call('HSET', ROOT .. 'b:' .. job.queue, job.supersede, id)
    queue.waiting, queue.parked = queue.waiting + 1, queue.parked + 1
  else
    put(lane_of(queue, job.class, job.key), member_of(id, job), job.priority)
  end
end

-- No job of a supersede key is leased any more: the newer one that has waited for that gets into its lane.
local function let_newer_in(queue_id, supersede)
  local id = call('HGET', ROOT .. 'b:' .. queue_id, supersede)
  if not id then return end
  local queue, job = queue_of(queue_id), find(id)
  call('HDEL', ROOT .. 'b:' .. queue_id, supersede)
  queue.waiting, queue.parked = queue.waiting - 1, queue.parked - 1
  job.state, job.at = WAITING, now
  put(lane_of(queue, job.class, job.key), member_of(id, job), job.priority)
  save(id, job)
end

local function drop_checkpoints(id, job)
  if job.notes % 2 == HAS_STEPS then
    call('DEL', ROOT .. 'k:' .. id, ROOT .. 'ks:' .. id)
    job.notes = job.notes - HAS_STEPS
  end
end

-- A job ends; the caller saves it. A dead one keeps its checkpoints: it may be replayed.
local function finish(id, job, state, reason)
  job.state, job.reason, job.at = state, reason, now
  if state == DEAD then
    call('ZADD', ROOT .. 'x:' .. job.queue, 0, id)
  else
    call('ZADD', FINISHED, now, id)
    drop_checkpoints(id, job)
  end
  end_unique(id, job, state == COMPLETED and job.window or 0)
end

-- Takes a job that waits out of where it does.
local function unwait(id, job)
  local queue = queue_of(job.queue)
  if job.state == SCHEDULED then
    call('ZREM', ROOT .. 'd:' .. job.queue, id)
  elseif job.state == WAITING then
    take_out(lane_of(queue, job.class, job.key), id, job)
  elseif job.state == BEHIND then
    call('HDEL', ROOT .. 'b:' .. job.queue, job.supersede)
    queue.waiting, queue.parked = queue.waiting - 1, queue.parked - 1
  end
end

-- Asks the worker of a leased job to stop; the first reason stands. Workers are woken, so that they renew and learn of it.
local function ask_to_stop(id, lease, reason)
  local token, asked, leased_at, expires_at, pass, ready_ms, worker = read(LEASE, lease)
  if asked == 0 then call('HSET', LEASES, id, lease_text(token, reason, leased_at, expires_at, pass, ready_ms, worker)) end
  woke = true
end

-- Cancels a job that waits, and asks a leased one to stop.
local function cancel(id, job, reason)
  local lease = call('HGET', LEASES, id)
  if lease then
    ask_to_stop(id, lease, reason)
  elseif job.state <= BEHIND then
    unwait(id, job)
    finish(id, job, CANCELLED, reason)
    save(id, job)
  end
end

-- Brings a finished job back with a fresh budget, to wait for its turn.
local function revive(id, job)
  if job.state == DEAD then call('ZREM', ROOT .. 'x:' .. job.queue, id) else call('ZREM', FINISHED, id) end
  job.attempt, job.crashes, job.reason = 1, 0, 0
  take_unique(id, job)
  remember_version(id, job)
  place(id, job)
  save(id, job)
end

-- Forgets a finished job.
local function forget(id, job)
  if job.state == DEAD then call('ZREM', ROOT .. 'x:' .. job.queue, id) else call('ZREM', FINISHED, id) end
  call('HDEL', JOBS, id)
  call('HDEL', BODIES, id)
  call('ZREM', IDS, id)
  if job.notes > 0 then call('DEL', ROOT .. 'e:' .. id, ROOT .. 'k:' .. id, ROOT .. 'ks:' .. id) end
end

-- The state of a job that is known, as its name's code, and its lease if it has one.
local function state_of(id, job)
  if job.state ~= WAITING then return job.state end
  local lease = call('HGET', LEASES, id)
  if lease then return LEASED, lease end
  local lane = lane_of(queue_of(job.queue), job.class, job.key)
  local parked = tonumber(call('HGET', ROOT .. 'p:' .. job.queue, lane.name)) or 0
  if parked == 0 then return READY end
  local rank = call('ZRANK', lane.jobs, member_of(id, job)) or HUGE
  return rank < call('ZCARD', lane.jobs) - parked and READY or PARKED
end
