-- replay: replays dead letters of one queue, oldest first, or counts them; those whose unique key is taken or that a newer version
-- has superseded stay dead. ARGV: queue, kind, key, reason, died at or after, before (each '' for any), most, whether it only
-- counts, and the id after which it goes on or ''. Answers how many, whether more are left, and where to go on or '' at the end.
local LOOK_MAX = 200
local queue = queue_named(ARGV[1])
if not queue then return { 0, 0, '' } end
local kind, key, reason, after, before = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local most, only_counts, from = tonumber(ARGV[7]), ARGV[8] == '1', ARGV[9]
local ids = call('ZRANGEBYLEX', ROOT .. 'x:' .. queue.id, from == '' and '-' or '(' .. from, '+', 'LIMIT', 0, LOOK_MAX)
local jobs, newest = {}, {}
local texts = batch_get('HMGET', JOBS, ids)
for i, id in ipairs(ids) do
  local job = read_job(texts[i])
  if (kind == '' or job.kind == kind) and (key == '' or job.key == key) and (not reason or job.reason == reason)
    and (not after or job.at >= after) and (not before or job.at < before) then
    jobs[#jobs + 1] = { id = id, job = job }
    -- Of several versions the newest is replayed. They meet here once the newest has been forgotten.
    local rival = newest[job.supersede]
    if not rival or job.version_at >= rival.version_at then newest[job.supersede] = job end
  end
end
local count, more = 0, 0
for _, found in ipairs(jobs) do
  local id, job = found.id, found.job
  local is_free = not superseded_by(id, job) and not holder_of(queue.id, job.unique, job.supersede)
  if is_free and (only_counts or job.supersede == '' or newest[job.supersede] == job) then
    if count == most then
      more = 1
      break
    end
    count = count + 1
    if not only_counts then revive(id, job) end
  end
end
judge_all()
close()
return { count, more, #ids == LOOK_MAX and more == 0 and ids[#ids] or '' }
