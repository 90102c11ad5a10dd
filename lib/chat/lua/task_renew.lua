-- task_renew: the holder lives; its lease begins anew.
--
-- Promises: only under the token, and also when the lease has passed but nobody took the task (a
-- Redis that was away long has let all leases pass). A bare XCLAIM would let a stalled holder
-- steal its task back.
--
-- KEYS  1 task  2 stream
-- ARGV  1 group  2 consumer  3 token  4 lease, ms
-- Returns {"held"} or {"lost"}
--@include task_queue.inc
local task, stream = KEYS[1], KEYS[2]
local group, consumer, token, lease_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

if status_under(task, token) ~= 'running' then return { 'lost' } end
lease(stream, group, task, consumer, lease_ms)
return { 'held' }
