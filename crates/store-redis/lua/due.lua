-- due: makes ready what has waited for a time: first lanes whose throttle has starts again, then scheduled jobs. ARGV: most jobs.
-- Answers how many throttled and how many scheduled jobs it has moved, and how long until something is due.
local left, ids, freed, moved = tonumber(ARGV[1]), all_queues(), 0, 0
for _, id in ipairs(ids) do
  local queue, watched = queue_of(id), ROOT .. 't:' .. id
  if freed >= left then break end
  local names = call('ZRANGEBYSCORE', watched, '-inf', now, 'LIMIT', 0, left - freed)
  if #names > 0 then
    batch('ZREM', watched, names)
    -- Lanes whose jobs the budget leaves parked are due at once.
    for _, name in ipairs(names) do
      if freed >= left then
        call('ZADD', watched, now, name)
      else
        local class, key = string.match(name, '^(%d+):(.*)$')
        local lane = lane_of(queue, tonumber(class), key)
        touch(lane)
        lane.is_cut = nil
        freed = freed + judge_all(left - freed)
        if lane.is_cut then call('ZADD', watched, now, name) end
      end
    end
  end
end
left = left - freed
for _, id in ipairs(ids) do
  local due = call('ZRANGEBYSCORE', ROOT .. 'd:' .. id, '-inf', now, 'LIMIT', 0, left - moved)
  if #due > 0 then
    batch('ZREM', ROOT .. 'd:' .. id, due)
    local texts, records = batch_get('HMGET', JOBS, due), {}
    for i, job_id in ipairs(due) do
      local job = read_job(texts[i])
      place(job_id, job)
      add(records, job_id, job_text(job))
    end
    batch('HSET', JOBS, records)
    moved = moved + #due
  end
end
judge_all()
close()
return { freed, moved, next_due(ids) }
