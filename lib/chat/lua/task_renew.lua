-- task_renew: the holder lives; its lease begins anew.
--
-- Promises: only under the token, and also when the lease has passed but nobody took the task (a
-- Redis that was away long has let all leases pass). A bare XCLAIM would let a stalled holder
-- steal its task back.
--
-- KEYS  1-8 queue
-- ARGV  1 group  2 consumer  3 task id  4 token  5 lease, ms
-- Returns {"held"} or {"lost"}
--@include task_queue.inc
--@include task_hold.inc
local q = queue(1, ARGV[1])
local consumer, task, token, lease_ms = ARGV[2], q.task .. ARGV[3], ARGV[4], tonumber(ARGV[5])

local status, known = status_under(task, token)
if status ~= 'running' then return { 'lost' } end
redis.call('HSET', task, 'un', digits(now + lease_ms))
keep_entry(q, known.entry, consumer)
return { 'held' }
