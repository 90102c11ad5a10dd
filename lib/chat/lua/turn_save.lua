-- turn_save: append the turn, record it under its Idempotency-Key, give the lock up, wake the
-- next who waits. All of it or nothing.
--
-- Promises: saves only under the session's newest fence, and only while the lock was not given up;
-- a lease that ran out is no hindrance as long as nobody took the lock. Repeating it is harmless:
-- a turn that is stored is found, also when later ones have followed.
--
-- KEYS  1 session  2 msgs  3 lock  4 wait  5 index of sessions  6 idem ("" = no Idempotency-Key)
-- ARGV  1 fence  2 number of the turn  3 entry  4 session id, for the index
--       5 life of the session, see session_life.inc; it does not end while a task of it is open
--       6 life of the lock's key, ms  7 what the request says  8 life of the idem record, ms
--       9 the session's title, unless it has one ("" = none); given with its first turn
-- Returns {"saved"}, {"lost"}: a later turn has begun, or {"gone"}: the session was deleted
--@include turn_queue.inc
--@include session_index.inc
--@include session_life.inc
local session, msgs, lock, wait, index, idem = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local fence, number, entry, id = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local life, lock_life, says, idem_life, title = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9]

if is_turn(redis.call('LINDEX', msgs, number - 1), fence) then return { 'saved' } end

local held = redis.call('HMGET', lock, 'fence', 'until', 'deleted')
if held[3] and tonumber(held[3]) > tonumber(fence) then return { 'gone' } end
if held[1] ~= fence or held[2] == '0' then return { 'lost' } end

local turns = redis.call('RPUSH', msgs, entry)
local is_new = redis.call('HSETNX', session, 'created', digits(now)) == 1
if title ~= '' then redis.call('HSETNX', session, 'title', title) end
redis.call('HSET', session, 'updated', digits(now), 'turns', turns)
local known = redis.call('HMGET', session, 'created', 'username')
index_add(index, id, is_new and digits(now_us) or known[1] .. '000', is_new, known[2],
          life_longest(life))
if is_new then index_sweep(index) end

local busy = tonumber(redis.call('HGET', session, 'tasks') or 0) > 0
live_on(not busy and life_left(life, known[1], now) or nil, session, msgs)

-- Not over the record of a later request, which came when ours had run out with the lease.
if idem ~= '' and (redis.call('HGET', idem, 'fence') or fence) == fence then
    redis.call('HSET', idem, 'says', says, 'state', 'done', 'fence', fence, 'turn', turns)
    redis.call('PEXPIRE', idem, idem_life)
end

redis.call('HSET', lock, 'until', 0)
redis.call('PEXPIRE', lock, lock_life)
queue_wake(lock, wait)
return { 'saved' }
