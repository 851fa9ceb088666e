-- view: all that changes of jobs. ARGV: their ids. Answers of each that is known its id, record, state, lease or '', since when its
-- lane is ready, errors and names of checkpoints; and the names of the queues and classes that they are of.
local rows, names = {}, {}
for _, id in ipairs(ARGV) do
  local text = call('HGET', JOBS, id)
  if text then
    local job = read_job(text)
    local state, lease = state_of(id, job)
    local since = state == READY and call('ZSCORE', ROOT .. 'a:' .. job.queue, job.class .. ':' .. job.key)
    rows[#rows + 1] = {
      id, text, state, lease or '', since or '0',
      job.notes >= HAS_ERRORS and call('LRANGE', ROOT .. 'e:' .. id, 0, -1) or {},
      job.notes % 2 == HAS_STEPS and call('LRANGE', ROOT .. 'ks:' .. id, 0, -1) or {},
    }
  end
end
return rows
