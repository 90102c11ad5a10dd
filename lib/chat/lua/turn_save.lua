-- turn_save: append the turn, record it under its Idempotency-Key, give the lock up, wake the
-- next who waits. All of it or nothing.
--
-- Promises: saves only under the session's newest fence, only while the lock was not given up, and
-- never behind a turn that it has not read; a lease that ran out, or a lock that Redis has
-- forgotten, is no hindrance as long as nobody took the lock. Repeating it is harmless: a turn that
-- is stored is found, also when later ones have followed, or as the last one of a dialog that has
-- become shorter than it was read.
--
-- KEYS  1 session  2 msgs  3 lock  4 wait  5 index of sessions  6 idem ("" = no Idempotency-Key)
-- ARGV  1 fence  2 number of the turn  3 entry  4 session id, for the index
--       5 life of the session, see session_life.inc; it does not end while a task of it is open
--       6 what the request says  7 life of the idem record, ms
--       8 the session's title, unless it has one ("" = none); given with its first turn
-- Returns {"saved"}, {"lost"}: a later turn has begun, or {"gone"}: the session was deleted
--@include turn_queue.inc
--@include session_index.inc
--@include session_life.inc
local session, msgs, lock, wait, index, idem = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local fence, number, entry, id = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local life, says, idem_life, title = ARGV[5], ARGV[6], ARGV[7], ARGV[8]

local held = redis.call('HMGET', lock, 'fence', 'until', 'ticket', 'deleted')
local known = redis.call('HMGET', session, 'created', 'username', 'title', 'tasks', 'turns')
local behind = tonumber(known[5] or 0) >= tonumber(number)
if behind or held[1] ~= fence or held[2] == '0' then    -- then it may be stored
    for _, at in ipairs({ number - 1, -1 }) do
        if is_turn(redis.call('LINDEX', msgs, at), fence) then return { 'saved' } end
    end
end
if behind or not holds(fence, held[1], held[2]) then
    local deleted = held[4] and tonumber(held[4]) > tonumber(fence)
    return { deleted and 'gone' or 'lost' }
end

local is_new, created = not known[1], known[1] or digits(now)
local turns = redis.call('RPUSH', msgs, entry)
local fields = { 'updated', digits(now), 'turns', turns }
if is_new then
    fields[5], fields[6] = 'created', created
end
if title ~= '' and not known[3] then
    fields[#fields + 1], fields[#fields + 2] = 'title', title
end
redis.call('HSET', session, unpack(fields))

local busy = tonumber(known[4] or 0) > 0
local least, most = life_left(life, created, now)
if turns == 1 or busy or not has_left(session, least, most) then
    live_on(not busy and most or nil, session, msgs)
    index_add(index, id, is_new and digits(now_us) or created .. '000', is_new, known[2],
              life_longest(life))
    if is_new then index_sweep(index) end
end

-- Not over the record of a later request, which came when ours had run out with the lease.
if idem ~= '' and (redis.call('HGET', idem, 'fence') or fence) == fence then
    redis.call('HSET', idem, 'says', says, 'state', 'done', 'fence', fence, 'turn', turns)
    redis.call('PEXPIRE', idem, idem_life)
end

if held[1] == fence then write_lock(held[3] or idem ~= '', 'HSET', lock, 'until', 0) end
if held[3] then queue_wake(lock, wait) end
return { 'saved' }
