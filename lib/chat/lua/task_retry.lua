-- task_retry: a person wants a failed task tried again: as new, but with the document it has begun.
--
-- KEYS  1-8 queue
-- ARGV  1 group  2 task id  3 tenant ("" = whose it may be)
-- Returns {"done"}, {"unknown"}, {"gone"}: the dialog does not exist any more, or {status}: that it
-- has, and which is not "failed"
--@include task_queue.inc
local q, id, asking = queue(1, ARGV[1]), ARGV[2], ARGV[3]
local task = q.task .. id

local seen = redis.call('HMGET', task, 'st', 'tn', 'se', 't0', 'nt')
local tenant = seen[2]
if not tenant or (asking ~= '' and asking ~= tenant) then return { 'unknown' } end
if seen[1] ~= 'failed' then return { seen[1] } end

local session = session_key(q, tenant, seen[3])
local created = redis.call('HGET', session, 'created')
if not created or tonumber(created) > tonumber(seen[4])
    or redis.call('LLEN', session .. ':msgs') < tonumber(seen[5]) then
    return { 'gone' }
end

redis.call('HSET', task, 'st', 'pending', 'at', 0)
redis.call('HDEL', task, 't1', 't2', 'tr', 'ec', 'ed', 'pf')
redis.call('PERSIST', task)
redis.call('ZREM', index_key(q, tenant, 'failed'), id)
redis.call('ZADD', index_key(q, tenant, 'open'), seen[4], id)
-- It may have given the session up.
if tonumber(redis.call('HGET', session, 't:' .. id) or 0) <= 0 then
    redis.call('HINCRBY', session, 'tasks', 1)
    redis.call('HSET', session, 't:' .. id, seen[4])
end
redis.call('PERSIST', session)
redis.call('PERSIST', session .. ':msgs')
line_up(q, id, tenant)
return { 'done' }
