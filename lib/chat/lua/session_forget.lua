-- session_forget: DELETE of a session, in one step.
--
-- Promises: the turn that is being answered just now cannot be saved any more (it hears "gone"),
-- and whoever waits begins a new dialog. Stored replies are unreachable with the list. Tasks
-- that wait are failed as cancelled; what a running one may still read is put aside for it, and
-- goes when the last of them ends.
--
-- KEYS  1 session  2 msgs  3 lock  4 wait  5 index of sessions
--       6 kept session and 7 its msgs: where a running task looks for them
--       8-15 queue of tasks
-- ARGV  1 group of the runners  2 session id  3 life of the lock's key, ms
--       4 life of what is kept, ms  5 life of a cancelled task's record, ms
-- Returns {"forgotten"} or {"unknown"}: there was no such session, nor is one being begun
--@include turn_queue.inc
--@include task_queue.inc
--@include task_hold.inc
--@include task_end.inc
--@include session_index.inc
local session, msgs, lock, wait, index = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local kept, kept_msgs, q = KEYS[6], KEYS[7], queue(8, ARGV[1])
local id, lock_life, kept_life, record_life = ARGV[2], ARGV[3], ARGV[4], ARGV[5]

-- The session is 404 under its own name from now on.
local function put_aside()
    redis.call('DEL', kept, kept_msgs)
    redis.call('RENAME', session, kept)
    redis.call('PEXPIRE', kept, kept_life)
    if redis.call('EXISTS', msgs) == 1 then
        redis.call('RENAME', msgs, kept_msgs)
        redis.call('PEXPIRE', kept_msgs, kept_life)
    end
end

local known = redis.call('HMGET', session, 'created', 'username')
if not known[1] and lock_left(lock) == 0 then return { 'unknown' } end

if known[1] and cancel_tasks_of(q, session, record_life) > 0 then put_aside() end
refill(q, control_of(q))
redis.call('DEL', session, msgs)
redis.call('ZREM', index, id)
if known[2] then redis.call('ZREM', user_index(index, known[2]), id) end

local fence = digits(next_number(redis.call('HGET', lock, 'fence')))
redis.call('HSET', lock, 'fence', fence, 'deleted', fence, 'until', 0, 'owner', '')
redis.call('PEXPIRE', lock, lock_life)
queue_wake(lock, wait)
return { 'forgotten' }
