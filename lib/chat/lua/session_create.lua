-- session_create: a session before its first turn.
--
-- Promises: all of it or nothing; a repeat with the same Idempotency-Key makes no second one, but
-- for one that was deleted meanwhile.
--
-- KEYS  1 session  2 index of sessions  3 idem ("" = no Idempotency-Key)
-- ARGV  1 session id  2 username  3 title  4 prompt (each "" = none)
--       5 life of the session, see session_life.inc
--       6 what the request says: a hash of its body  7 life of the idem record, ms
-- Returns {"created", session id}    the first one's, for a repeat
--         {"reused"}                 the key belongs to another request
--@include session_index.inc
--@include session_life.inc
local session, index, idem = KEYS[1], KEYS[2], KEYS[3]
local id, username, title, prompt, life = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local says, idem_life = ARGV[6], ARGV[7]

if idem ~= '' then
    local seen = redis.call('HMGET', idem, 'says', 'session')
    if seen[1] and seen[1] ~= says then return { 'reused' } end
    if seen[2] and redis.call('EXISTS', session_key(index, seen[2])) == 1 then
        return { 'created', seen[2] }
    end
    redis.call('HSET', idem, 'says', says, 'session', id)
    redis.call('PEXPIRE', idem, idem_life)
end

local time = redis.call('TIME')
local born = string.format('%.0f', time[1] * 1000000 + time[2])
local now = string.sub(born, 1, -4)
redis.call('HSET', session, 'created', now, 'updated', now, 'turns', 0)
for name, value in pairs({ username = username, title = title, prompt = prompt }) do
    if value ~= '' then redis.call('HSET', session, name, value) end
end
live_on(life_left(life, now, tonumber(now)), session)
index_add(index, id, born, true, username ~= '' and username,
          life_longest(life))
index_sweep(index)
return { 'created', id }
