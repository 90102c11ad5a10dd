-- task_record: the document that the holder has begun; also renews the lease. The entry's idle time
-- is left to the renewals proper, which come all the while.
--
-- Promises: only under the token, and never a document that the sweeper has marked to be trashed.
--
-- KEYS  1-8 queue  9 swept
-- ARGV  1 group  2 consumer  3 task id  4 token  5 lease, ms  6 kind of store
--       7 document, or several with blanks between them
-- Returns {"held"} or {"lost"}
--@include task_queue.inc
--@include task_hold.inc
local q, swept = queue(1, ARGV[1]), KEYS[9]
local task, token, lease_ms = q.task .. ARGV[3], ARGV[4], tonumber(ARGV[5])
local store, document = ARGV[6], ARGV[7]

if status_under(task, token) ~= 'running' then return { 'lost' } end
for one in string.gmatch(document, '%S+') do
    if redis.call('ZSCORE', swept, one) then return { 'lost' } end
end
redis.call('HSET', task, 'sk', store, 'do', document, 'un', digits(now + lease_ms))
return { 'held' }
