-- task_group: the runners' consumer group, made when it is missing. It begins with the stream's
-- first entry, so that what was accepted before is not passed over.
--
-- KEYS  1 stream
-- ARGV  1 group
-- Returns 1 when it was missing, else 0
local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
if not made.err then return 1 end
if string.find(made.err, 'BUSYGROUP', 1, true) then return 0 end
return made
