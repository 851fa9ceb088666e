-- retry: starts a scheduled job now, and a dead or cancelled one anew. ARGV: the job. Answers 0 done, 1 no such job, 2 not in this
-- state, 3 its unique key is taken, 4 it is superseded; and its state, and by whom.
local id = ARGV[1]
local job = find(id)
if not job then return { 1, 0, '' } end
local state = state_of(id, job)
if state == LEASED or state == COMPLETED then return { 2, state, '' } end
if state == SCHEDULED then
  unwait(id, job)
  place(id, job)
  save(id, job)
elseif state == DEAD or state == CANCELLED then
  local newer = superseded_by(id, job)
  if newer then return { 4, state, newer } end
  local holder = holder_of(job.queue, job.unique, job.supersede)
  if holder then return { 3, state, holder } end
  revive(id, job)
end
judge_all()
close()
return { 0, state, '' }
