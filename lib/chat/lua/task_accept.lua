-- task_accept: a write-to-doc task is accepted, or was before under this Idempotency-Key.
--
-- Promises: what is written is the dialog as it is now, and its session does not expire before
-- the task has ended. Record, indexes and a place in the queue, all or nothing.
--
-- KEYS  1-8 queue  9 session  10 idem ("" = no Idempotency-Key)
-- ARGV  1 group  2 task id  3 tenant  4 session id
--       5 what the request says: a hash of session and body  6 life of the idem record, ms
-- Returns {"accepted", task id}  the first one's, for a repeat
--         {"unknown"}            there is no such session
--         {"reused"}             the key belongs to another request
--@include task_queue.inc
local q, session, idem = queue(1, ARGV[1]), KEYS[9], KEYS[10]
local id, tenant, name, says, idem_life = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local created = digits(now)

local MANY_FIELDS = 64

-- The session has a mark of each of its tasks. The sweeper of the indexes takes off those whose
-- records expire; should it have missed some, they are found here: of three marks that are looked
-- at, at random, one is new, so no more than half as many dead ones stay as there are others.
local function forget_some_expired()
    for _, field in ipairs(redis.call('HRANDFIELD', session, 3)) do
        local old = string.match(field, '^t:(.*)')
        if old and redis.call('EXISTS', q.task .. old) == 0 then
            redis.call('HDEL', session, field)
        end
    end
end

-- Under its time, by which it is found again; unless the clock went back.
local function enter_index()
    local index = index_key(q, tenant, 'tasks')
    local entry = redis.pcall('XADD', index, created .. '-*', 't', id)
    if type(entry) == 'table' and entry.err then redis.call('XADD', index, '*', 't', id) end
end

if idem ~= '' then
    local seen = redis.call('HMGET', idem, 'says', 'task')
    if seen[1] and seen[1] ~= says then return { 'reused' } end
    if seen[2] then return { 'accepted', seen[2] } end
end
local known = redis.call('HMGET', session, 'created', 'tasks')
if not known[1] then return { 'unknown' } end
local tasks = tonumber(known[2] or 0)

redis.call('HSET', q.task .. id, 'tn', tenant, 'se', name, 'nt',
           redis.call('LLEN', session .. ':msgs'), 'st', 'pending', 't0', created)
redis.call('ZADD', index_key(q, tenant, 'open'), created, id)
enter_index()
redis.call('ZADD', q.tenants, 0, tenant)
line_up(q, id, tenant)

redis.call('HSET', session, 't:' .. id, created, 'tasks', tasks + 1)
if tasks == 0 then      -- else it lives on already
    redis.call('PERSIST', session)
    redis.call('PERSIST', session .. ':msgs')
end
if redis.call('HLEN', session) > MANY_FIELDS then forget_some_expired() end

if idem ~= '' then
    redis.call('HSET', idem, 'says', says, 'task', id)
    redis.call('PEXPIRE', idem, idem_life)
end
return { 'accepted', id }
