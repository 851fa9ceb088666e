-- list: looks for jobs, newest first. ARGV: the id before which it begins or '', queue, state, kind, key, created at or after, before
-- (each '' for any), and how many. Looks at a bounded number of jobs: answers the ids that fit, and where to go on or '' at the end.
local LOOK_MAX = 500
local from, kind, key, most = ARGV[1], ARGV[4], ARGV[5], tonumber(ARGV[8])
local state, after, before = tonumber(ARGV[3]), tonumber(ARGV[6]), tonumber(ARGV[7])
local queue = ARGV[2] ~= '' and queue_named(ARGV[2])
if queue == nil then return { '', '' } end
local ids = call('ZREVRANGEBYLEX', IDS, from == '' and '+' or '(' .. from, '-', 'LIMIT', 0, LOOK_MAX)
local texts, found, last = batch_get('HMGET', JOBS, ids), {}, nil
for i, id in ipairs(ids) do
  if #found == most then break end
  local job = read_job(texts[i])
  last = id
  if (not queue or job.queue == queue.id) and (kind == '' or job.kind == kind) and (key == '' or job.key == key)
    and (not after or job.created >= after) and (not before or job.created < before)
    and (not state or state_of(id, job) == state) then
    found[#found + 1] = id
  end
end
return { table.concat(found), (#ids == LOOK_MAX or #found == most) and last or '' }
