-- turn_forget: delete a session's turns: what DELETE of a session must do to them, in one step.
-- Its tasks are not touched: who deletes a session settles them first.
--
-- Promises: the turn that is being answered just now cannot be saved any more (it hears "gone"),
-- and whoever waits begins a new dialog. Stored replies are unreachable with the list.
--
-- KEYS  1 session  2 msgs  3 lock  4 wait  5 index of sessions
-- ARGV  1 session id, for the index  2 life of the lock's key, ms
-- Returns {"forgotten"} or {"unknown"}: there was no such session, nor is one being begun
--@include turn_queue.inc
local session, msgs, lock, wait, index = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id, lock_life = ARGV[1], ARGV[2]

local known = redis.call('DEL', session, msgs) > 0
if not known and lock_left(lock) == 0 then return { 'unknown' } end

local fence = digits(next_number(redis.call('HGET', lock, 'fence')))
redis.call('HSET', lock, 'fence', fence, 'deleted', fence, 'until', 0, 'owner', '')
redis.call('PEXPIRE', lock, lock_life)
redis.call('ZREM', index, id)
queue_wake(lock, wait)
return { 'forgotten' }
