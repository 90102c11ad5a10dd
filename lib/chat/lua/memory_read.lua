-- memory_read: a session's summary, and the turns after it that are to be folded into it.
--
-- KEYS  1 session  2 msgs
-- ARGV  1 number of the last turn to fold  2 most turns  3 bytes after which no further turn is
--       added; one comes always
-- Returns {} when there is no such session or nothing to fold, else
--         {created, turns in the summary, summary, entry...}
local session, msgs = KEYS[1], KEYS[2]
local last, most_turns, most_bytes = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

local known = redis.call('HMGET', session, 'created', 'summary_turns', 'summary')
local covered = tonumber(known[2] or 0)
if not known[1] or covered >= last then return {} end

local reply, bytes = { known[1], covered, known[3] or '' }, 0
for at = covered, math.min(last, covered + most_turns) - 1 do
    local entry = redis.call('LINDEX', msgs, at)
    if not entry then break end
    bytes = bytes + #entry
    if bytes > most_bytes and #reply > 3 then break end
    reply[#reply + 1] = entry
end
return #reply > 3 and reply or {}
