-- session_forget: DELETE of a session, in one step.
--
-- Promises: the turn that is being answered just now cannot be saved any more (it hears "gone"),
-- and whoever waits begins a new dialog. Stored replies are unreachable with the list. Tasks
-- that wait are failed as cancelled; what a running one may still read is put aside for it, and
-- goes when the last of them ends.
--
-- KEYS  1 session  2 msgs  3 lock  4 wait  5 index of sessions
--       6 kept session and 7 its msgs: where a running task looks for them
--       8 open tasks  9 due tasks  10 stream of tasks
-- ARGV  1 session id  2 life of the lock's key, ms  3 tenant
--       4 what stands before the id in a task's key  5 group  6 life of what is kept, ms
-- Returns {"forgotten"} or {"unknown"}: there was no such session, nor is one being begun
--@include turn_queue.inc
--@include task_queue.inc
--@include session_index.inc
local session, msgs, lock, wait, index = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local kept, kept_msgs, open, due, stream = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local id, lock_life, tenant, task_prefix = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local group, kept_life = ARGV[5], ARGV[6]

local function cancel(task, task_id)
    hush(stream, group, redis.call('HGET', task, 'en'))
    redis.call('ZREM', due, task_id)
    redis.call('ZREM', open, task_id)
    redis.call('HSET', task, 'st', 'failed', 't2', digits(now), 'ec', 'cancelled',
               'ed', 'The session was deleted.')
    redis.call('HDEL', task, 'en')
end

-- The session's open tasks, of which there are `count`. They are looked for among all that are
-- open, the newest first: who deletes a session has mostly just written it down, or long ago.
local function open_tasks(count)
    local found, step = {}, 500
    for from = 0, redis.call('ZCARD', open) - 1, step do
        for _, task_id in ipairs(redis.call('ZREVRANGE', open, from, from + step - 1)) do
            if #found == count then return found end
            local seen = redis.call('HMGET', task_prefix .. task_id, 'tn', 'se')
            if seen[1] == tenant and seen[2] == id then found[#found + 1] = task_id end
        end
    end
    return found
end

-- Cancels those that wait. Returns how many are running.
local function cancel_tasks(count)
    local running = 0
    for _, task_id in ipairs(open_tasks(count)) do
        local task = task_prefix .. task_id
        local status = redis.call('HGET', task, 'st')
        if status == 'pending' then
            cancel(task, task_id)
        elseif status == 'running' then
            running = running + 1
        end
    end
    return running
end

-- The session is 404 under its own name from now on.
local function put_aside(running)
    redis.call('DEL', kept, kept_msgs)
    redis.call('RENAME', session, kept)
    redis.call('HSET', kept, 'tasks', running)
    redis.call('PEXPIRE', kept, kept_life)
    if redis.call('EXISTS', msgs) == 1 then
        redis.call('RENAME', msgs, kept_msgs)
        redis.call('PEXPIRE', kept_msgs, kept_life)
    end
end

local known = redis.call('HMGET', session, 'created', 'username', 'tasks')
if not known[1] and lock_left(lock) == 0 then return { 'unknown' } end

local running = cancel_tasks(tonumber(known[3] or 0))
if known[1] and running > 0 then put_aside(running) end
redis.call('DEL', session, msgs)
redis.call('ZREM', index, id)
if known[2] then redis.call('ZREM', user_index(index, known[2]), id) end

local fence = digits(next_number(redis.call('HGET', lock, 'fence')))
redis.call('HSET', lock, 'fence', fence, 'deleted', fence, 'until', 0, 'owner', '')
redis.call('PEXPIRE', lock, lock_life)
queue_wake(lock, wait)
return { 'forgotten' }
