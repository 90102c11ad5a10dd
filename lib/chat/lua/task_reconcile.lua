-- task_reconcile: a page of one tenant's open tasks, compared with the stream, the line and the due
-- set.
--
-- Promises: an open task that none of them knows gets its place again; what is not open any more
-- leaves the index.
--
-- KEYS  1-8 queue
-- ARGV  1 group  2 cursor, see task_tenants.inc  3 size of a page
--       4 ms: no beginning so soon after somebody else's; 0 = begin in any case
-- Returns {next cursor ("" = all were seen, or lately), how many were added again}
--@include task_queue.inc
--@include task_tenants.inc
local q, cursor, size, lately = queue(1, ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])

local function parts_of(entry)
    local ms, seq = string.match(entry, '^(%d+)-(%d+)$')
    return tonumber(ms), tonumber(seq)
end

-- The group's place in the stream: entries up to here were handed to somebody. nil: no group.
local function last_delivered()
    local groups = redis.pcall('XINFO', 'GROUPS', q.stream)
    if groups.err then return nil end
    for _, flat in ipairs(groups) do
        local found = {}
        for i = 1, #flat, 2 do found[flat[i]] = flat[i + 1] end
        if found['name'] == q.group then return found['last-delivered-id'] end
    end
end

-- Of the runners one looks, and the others rely on it.
local function another_began()
    local last = tonumber(redis.call('HGET', q.control, 'tidied') or 0)
    if last <= now and now - last < lately then return true end
    redis.call('HSET', q.control, 'tidied', digits(now))
end

if cursor == '' and another_began() then return { '', 0 } end

local delivered = last_delivered()

local function was_delivered(entry)
    local ms, seq = parts_of(entry)
    local last_ms, last_seq = parts_of(delivered)
    return ms < last_ms or (ms == last_ms and seq <= last_seq)
end

-- Handed out, and in nobody's hands now: no runner ever looks there again.
local function is_stranded(entry)
    return delivered and was_delivered(entry)
        and #redis.call('XPENDING', q.stream, q.group, entry, entry, 1) == 0
end

-- Will a runner come across the task by itself? What is left of an entry that leads nowhere goes.
local function is_known(id, entry)
    if not entry then
        return redis.call('ZSCORE', q.due, id) or redis.call('ZSCORE', q.waiting, id)
    end
    local found = redis.call('XRANGE', q.stream, entry, entry)[1]
    -- A stream that was lost and made anew can have given the same id to another task's entry.
    if found and found[2][2] ~= id then return false end
    if found and not is_stranded(entry) then return true end
    hush(q.stream, q.group, entry)
    return false
end

local tenant, from = walk_on(q.tenants, cursor, '0')
if not tenant then return { '', 0 } end
local open = index_key(q, tenant, 'open')
local page = redis.call('ZSCAN', open, from, 'COUNT', size)
local ids, added = page[2], 0
for i = 1, #ids, 2 do
    local id = ids[i]
    local seen = redis.call('HMGET', q.task .. id, 'st', 'en')
    local status, entry = seen[1], seen[2]

    if status ~= 'pending' and status ~= 'running' then
        redis.call('ZREM', open, id)
    elseif not is_known(id, entry) then
        if status == 'running' then
            ring(q, id)
        else
            redis.call('HDEL', q.task .. id, 'en')
            line_up(q, id, tenant)
        end
        added = added + 1
    end
end
return { tenant .. '|' .. (page[1] == '0' and '' or page[1]), added }
