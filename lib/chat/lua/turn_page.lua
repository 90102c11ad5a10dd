-- turn_page: a stretch of a dialog, and what is known of its session, of one and the same moment.
--
-- KEYS  1 session  2 msgs  3, 4 the same of a deleted one, kept for its running tasks
-- ARGV  1 first turn, from 0  2 how many turns at most  3 bytes after which no further turn is
--       added; one turn comes always, so that a reader gets on
--       4 the session as it was at this time, ms, even if it was deleted since; 0 = as it is
-- Returns {} when there is no such session, else {turns, created, updated, entry...}
local session, msgs = KEYS[1], KEYS[2]
local first, count, most_bytes = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local as_of = tonumber(ARGV[4])

local known = redis.call('HMGET', session, 'created', 'updated')
if as_of > 0 and not (known[1] and tonumber(known[1]) <= as_of) then
    session, msgs = KEYS[3], KEYS[4]
    known = redis.call('HMGET', session, 'created', 'updated')
end
if not known[1] then return {} end

local reply = { redis.call('LLEN', msgs), known[1], known[2] or known[1] }
local bytes, step = 0, 8
for from = first, first + count - 1, step do
    local chunk = redis.call('LRANGE', msgs, from, math.min(from + step, first + count) - 1)
    for _, entry in ipairs(chunk) do
        bytes = bytes + #entry
        if bytes > most_bytes and #reply > 3 then return reply end
        reply[#reply + 1] = entry
    end
    if #chunk < step then break end
end
return reply
