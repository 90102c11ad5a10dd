-- task_record: the document that the holder has begun; also renews the lease.
--
-- Promises: only under the token, and never a document that the sweeper has marked to be trashed.
--
-- KEYS  1 task  2 stream  3 swept
-- ARGV  1 group  2 consumer  3 token  4 lease, ms  5 kind of store  6 document
-- Returns {"held"} or {"lost"}
--@include task_queue.inc
local task, stream, swept = KEYS[1], KEYS[2], KEYS[3]
local group, consumer, token, lease_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local store, document = ARGV[5], ARGV[6]

if status_under(task, token) ~= 'running' then return { 'lost' } end
if redis.call('ZSCORE', swept, document) then return { 'lost' } end
redis.call('HSET', task, 'sk', store, 'do', document)
lease(stream, group, task, consumer, lease_ms)
return { 'held' }
