-- open: makes sure that the namespace is this program's. ARGV: the layout that the program knows. Answers the one that is there.
call('HSETNX', META, 'layout', ARGV[1])
return call('HGET', META, 'layout')
