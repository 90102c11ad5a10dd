-- turn_release: a request gives up: its lock if it holds it, its place if it waits.
--
-- Promises: whatever became of its turn_begin, also one whose reply was lost, nothing of it holds
-- anybody up afterwards, and whoever may go on is woken. A lock that another holds, and a turn
-- that was saved, stay as they are; repeating it is harmless.
--
-- KEYS  1 lock  2 wait  3 idem ("" = no Idempotency-Key)
-- ARGV  1 me, as in turn_begin
-- Returns {"released"}
--@include turn_queue.inc
local lock, wait, idem = KEYS[1], KEYS[2], KEYS[3]
local me = ARGV[1]

local held = redis.call('HMGET', lock, 'owner', 'fence', 'until', 'ticket')
if held[1] == me and held[3] ~= '0' then
    write_lock(held[4] or idem ~= '', 'HSET', lock, 'until', 0)
    if idem ~= '' then
        local record = redis.call('HMGET', idem, 'fence', 'state')
        if record[1] == held[2] and record[2] == 'running' then redis.call('DEL', idem) end
    end
end
queue_leave(lock, wait, me)
if lock_left(lock) == 0 then queue_wake(lock, wait) end
return { 'released' }
