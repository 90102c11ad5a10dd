-- task_accept: a new task for the dialog as it is now.
--
-- Promises: all of it or nothing; a repeat with the same Idempotency-Key makes no second task;
-- the dialog does not expire while the task is open.
--
-- KEYS  1 session  2 msgs  3 task  4 open  5 stream  6 idem ("" = no Idempotency-Key)
-- ARGV  1 task id  2 tenant  3 session id
--       4 what the request says: a hash of session and body  5 life of the idem record, ms
-- Returns {"accepted", task id}  the first one's, for a repeat
--         {"unknown"}            there is no such session
--         {"reused"}             the key belongs to another request
--@include task_queue.inc
local session, msgs, task, open, stream, idem = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local id, tenant, name, says, idem_life = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

if idem ~= '' then
    local seen = redis.call('HMGET', idem, 'says', 'task')
    if seen[1] and seen[1] ~= says then return { 'reused' } end
    if seen[2] then return { 'accepted', seen[2] } end
end
if redis.call('EXISTS', session) == 0 then return { 'unknown' } end

redis.call('HSET', task, 'tn', tenant, 'se', name, 'nt', redis.call('LLEN', msgs),
           'st', 'pending', 't0', digits(now))
redis.call('ZADD', open, digits(now), id)
ring(stream, task, id)

redis.call('HINCRBY', session, 'tasks', 1)
redis.call('PERSIST', session)
redis.call('PERSIST', msgs)

if idem ~= '' then
    redis.call('HSET', idem, 'says', says, 'task', id)
    redis.call('PEXPIRE', idem, idem_life)
end
return { 'accepted', id }
