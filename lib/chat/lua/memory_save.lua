-- memory_save: a newer summary takes the place of an older one.
--
-- Promises: only in the session that was read, not in a later one of its name, and never over a
-- summary that reaches further. The session's life goes on as before.
--
-- KEYS  1 session
-- ARGV  1 when the session was created, as memory_read said  2 number of the last turn in the
--       summary  3 summary
-- Returns {"saved"}, {"stale"} or {"gone"}
local session = KEYS[1]
local created, covered, summary = ARGV[1], ARGV[2], ARGV[3]

local known = redis.call('HMGET', session, 'created', 'summary_turns')
if known[1] ~= created then return { 'gone' } end
if tonumber(known[2] or 0) >= tonumber(covered) then return { 'stale' } end
redis.call('HSET', session, 'summary', summary, 'summary_turns', covered)
return { 'saved' }
