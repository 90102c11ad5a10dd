-- task_accept: write-to-doc tasks are accepted, or were before under their Idempotency-Keys.
-- Several at once, as running a script costs more than a task in it.
--
-- Promises: what is written is the dialog as it is now, and its session does not expire before
-- the task has ended. Record, indexes and a place in the queue, all or nothing.
--
-- KEYS  1-8 queue, then of each task: session, idem ("" = no Idempotency-Key)
-- ARGV  1 group  2 life of the idem records, ms, then of each task:
--       task id, tenant, session id, what the request says: a hash of session and body
-- Returns of each task
--         {"accepted", task id}  the first one's, for a repeat
--         {"unknown"}            there is no such session
--         {"reused"}             the key belongs to another request
--         {"failed", words}      something else stands in Redis under one of its keys
--@include task_queue.inc
local q, idem_life = queue(1, ARGV[1]), ARGV[2]
local created = digits(now)

local MANY_FIELDS = 64

-- The session has a mark of each of its tasks. The sweeper of the indexes takes off those whose
-- records expire; should it have missed some, they are found here: one task in eight, at random,
-- looks at 24 marks, so no more than half as many dead ones stay as there are others.
local function forget_some_expired(session, id)
    if string.byte(id) % 8 ~= 0 or redis.call('HLEN', session) <= MANY_FIELDS then return end
    for _, field in ipairs(redis.call('HRANDFIELD', session, 24)) do
        local old = string.match(field, '^t:(.*)')
        if old and redis.call('EXISTS', q.task .. old) == 0 then
            redis.call('HDEL', session, field)
        end
    end
end

-- Under its time, by which it is found again; unless the clock went back.
local function enter_index(tenant, id)
    local index = index_key(q, tenant, 'tasks')
    local entry = redis.pcall('XADD', index, created .. '-*', 't', id)
    if type(entry) == 'table' and entry.err then redis.call('XADD', index, '*', 't', id) end
end

local function mark_session(session, id, tasks)
    redis.call('HSET', session, 't:' .. id, created, 'tasks', tasks + 1)
    if tasks == 0 then      -- else it lives on already
        redis.call('PERSIST', session)
        redis.call('PERSIST', session .. ':msgs')
    end
    forget_some_expired(session, id)
end

-- Into the stream at once, as long as it has room and nobody stands in line; or nil.
local control = control_of(q)
local places = room(q, control)
if places > 0 and redis.call('EXISTS', q.waiting) == 1 then places = 0 end
local function place_in_stream(id)
    if places <= 0 then return nil end
    places = places - 1
    return redis.call('XADD', q.stream, '*', 't', id)
end

-- By tenant, what all its tasks share: what goes into its index of open ones, who stands in line.
local tenants = {}
local function tenant_of(name)
    local known = tenants[name] or { open = {}, waiting = {} }
    tenants[name] = known
    return known
end

-- Whatever can fail comes before the first thing that is written.
local function accept(session, idem, id, tenant, name, says)
    if idem ~= '' then
        local seen = redis.call('HMGET', idem, 'says', 'task')
        if seen[1] and seen[1] ~= says then return { 'reused' } end
        if seen[2] then return { 'accepted', seen[2] } end
    end
    local known = redis.call('HMGET', session, 'created', 'tasks')
    if not known[1] then return { 'unknown' } end

    local turns = redis.call('LLEN', session .. ':msgs')
    enter_index(tenant, id)
    local entry = place_in_stream(id)
    redis.call('HSET', q.task .. id, 'tn', tenant, 'se', name, 'nt', turns, 'st', 'pending',
               't0', created, unpack(entry and { 'en', entry } or {}))
    mark_session(session, id, tonumber(known[2] or 0))
    local shared = tenant_of(tenant)
    append(shared.open, created, id)
    if not entry then append(shared.waiting, id) end
    if idem ~= '' then
        redis.call('HSET', idem, 'says', says, 'task', id)
        redis.call('PEXPIRE', idem, idem_life)
    end
    return { 'accepted', id }
end

-- One that cannot be accepted does not take the others with it, nor leave them half written. What
-- Redis refuses of all (no memory, no disk, no replicas), it refuses before the first is written.
local function accept_one(...)
    local well, answer = pcall(accept, ...)
    if well then return answer end
    if not string.find(answer, '^WRONGTYPE') then error({ err = answer }) end
    return { 'failed', answer }
end

local answers = {}
for i = 3, #ARGV, 4 do
    local key = 9 + (i - 3) / 2
    append(answers, accept_one(KEYS[key], KEYS[key + 1], unpack(ARGV, i, i + 3)))
end
for name, shared in pairs(tenants) do
    redis.call('ZADD', index_key(q, name, 'open'), unpack(shared.open))
    redis.call('ZADD', q.tenants, 0, name)
    if #shared.waiting > 0 then stand_in_line(q, name, shared.waiting) end
end
refill(q, control)
return answers
