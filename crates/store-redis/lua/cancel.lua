-- cancel: cancels a job that waits, and asks a leased one to stop. ARGV: the job and the reason.
local job = find(ARGV[1])
if job then
  cancel(ARGV[1], job, tonumber(ARGV[2]))
  judge_all()
  close()
end
return 1
