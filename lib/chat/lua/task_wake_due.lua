-- task_wake_due: what is done every second or so. Tasks whose next try is due stand in line again,
-- the stream is filled up from the line, and, while a fault of configuration pauses the queue, a
-- task is sent to try for all when the time has come.
--
-- Promises: none is lost on the way; one that was settled meanwhile is forgotten here.
--
-- KEYS  1-8 queue
-- ARGV  1 group  2 how many at most  3 tasks in flight in one runner  4 wait between canaries, ms
-- Returns how many were woken
--@include task_queue.inc
local q, most, concurrency = queue(1, ARGV[1]), ARGV[2], tonumber(ARGV[3])
local canary_wait = tonumber(ARGV[4])

-- Twice what all runners together can hold, so that none waits for work.
local function set_window()
    local runners = 1
    local groups = redis.pcall('XINFO', 'GROUPS', q.stream)
    if not groups.err and groups[1] then runners = math.max(1, groups[1][4]) end
    redis.call('HSET', q.control, 'window',
               digits(math.max(SMALL_WINDOW, 2 * concurrency * runners)))
end

local function wake()
    local woken = 0
    for _, id in ipairs(redis.call('ZRANGE', q.due, '-inf', digits(now), 'BYSCORE',
                                   'LIMIT', 0, most)) do
        redis.call('ZREM', q.due, id)
        local seen = redis.call('HMGET', q.task .. id, 'st', 'tn', 'en')
        if seen[1] == 'pending' and not seen[3] then
            line_up(q, id, seen[2])
            woken = woken + 1
        end
    end
    return woken
end

-- The first in line, but rather another than the one whose fault it was: it may be its own.
local function choose_canary(culprit)
    local first = redis.call('ZRANGE', q.waiting, 0, 1)
    return first[1] == culprit and first[2] or first[1]
end

local function send_canary()
    local seen = redis.call('HMGET', q.control, 'hand', 'fault', 'next', 'canary', 'culprit')
    local hand, fault, next_time, canary, culprit = seen[1], seen[2], seen[3], seen[4], seen[5]

    if hand or not fault or tonumber(next_time or 0) > now then return end
    redis.call('HSET', q.control, 'next', digits(now + canary_wait))
    local is_open = canary and redis.call('HMGET', q.task .. canary, 'en', 'st')
    if is_open and is_open[1] and is_open[2] ~= 'failed' then return end    -- still at it
    local id = choose_canary(culprit)
    if not id then
        redis.call('HSET', q.control, 'next', digits(now))
        return
    end
    leave_line(q, id)
    redis.call('HSET', q.control, 'canary', id)
    ring(q, id)
end

set_window()
local woken = wake()
send_canary()
refill(q, control_of(q))
return woken
