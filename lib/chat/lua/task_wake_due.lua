-- task_wake_due: tasks whose next try is due go back into the stream.
--
-- Promises: none is lost on the way; one that was settled meanwhile is forgotten here. The keys
-- of the tasks are made from their ids, as nobody knows them before.
--
-- KEYS  1 due  2 stream
-- ARGV  1 what stands before the id in a task's key  2 how many at most
-- Returns how many were woken
--@include task_queue.inc
local due, stream = KEYS[1], KEYS[2]
local prefix, most = ARGV[1], ARGV[2]

local woken = 0
for _, id in ipairs(redis.call('ZRANGE', due, '-inf', digits(now), 'BYSCORE', 'LIMIT', 0, most)) do
    redis.call('ZREM', due, id)
    if redis.call('HGET', prefix .. id, 'st') == 'pending' then
        ring(stream, prefix .. id, id)
        woken = woken + 1
    end
end
return woken
