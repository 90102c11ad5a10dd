-- task_remove: a person wants a task away. One that waits is cancelled; of one that has ended the
-- record goes, and the document stays.
--
-- KEYS  1-8 queue
-- ARGV  1 group  2 task id  3 tenant ("" = whose it may be)
--       4 "1" when one that waits may be cancelled
--       5 "1" when a record may go  6 life of the session, see session_life.inc
--       7 life of a cancelled record, ms (0 = for ever)
-- Returns {"done"}, {"unknown"}, or {status}: that it has, and which does not allow it
--@include session_life.inc
--@include task_queue.inc
--@include task_hold.inc
--@include task_end.inc
local q, id, asking = queue(1, ARGV[1]), ARGV[2], ARGV[3]
local may_cancel, may_delete = ARGV[4] == '1', ARGV[5] == '1'
local session_rule, record_life = ARGV[6], ARGV[7]
local task = q.task .. id

local seen = redis.call('HMGET', task, 'st', 'tn', 'se', 't0', 'en')
local status, tenant = seen[1], seen[2]
local known = { tenant = tenant, session = seen[3], created = seen[4], entry = seen[5] }
if not tenant or (asking ~= '' and asking ~= tenant) then return { 'unknown' } end

-- The entry stands under the time of acceptance, unless the clock went back: then the next look
-- through the index finds that there is no record.
local function leave_index(created)
    local index = index_key(q, tenant, 'tasks')
    for _, entry in ipairs(redis.call('XRANGE', index, created, created)) do
        if entry[2][2] == id then redis.call('XDEL', index, entry[1]) end
    end
end

if status == 'pending' and may_cancel then
    refill(q, cancel(q, id, known, 'Somebody cancelled it.', session_rule, record_life))
    return { 'done' }
end
if (status ~= 'failed' and status ~= 'finished') or not may_delete then return { status } end

release_session(q, id, known, session_rule)
redis.call('HDEL', session_key(q, tenant, known.session), 't:' .. id)
redis.call('DEL', task)
redis.call('ZREM', index_key(q, tenant, 'failed'), id)
leave_index(known.created)
return { 'done' }
