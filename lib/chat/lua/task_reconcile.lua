-- task_reconcile: one page of the open index, compared with the stream and the due set.
--
-- Promises: an open task that neither knows is rung again; what is not open any more leaves the
-- index. The keys of the tasks are made from their ids, as nobody knows them before.
--
-- KEYS  1 open  2 stream  3 due
-- ARGV  1 group  2 what stands before the id in a task's key  3 cursor  4 size of a page
-- Returns {next cursor, how many were added again}
--@include task_queue.inc
local open, stream, due = KEYS[1], KEYS[2], KEYS[3]
local group, prefix, cursor, size = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local function parts_of(entry)
    local ms, seq = string.match(entry, '^(%d+)-(%d+)$')
    return tonumber(ms), tonumber(seq)
end

-- The group's place in the stream: entries up to here were handed to somebody. nil: no group.
local function last_delivered()
    local groups = redis.pcall('XINFO', 'GROUPS', stream)
    if groups.err then return nil end
    for _, flat in ipairs(groups) do
        local found = {}
        for i = 1, #flat, 2 do found[flat[i]] = flat[i + 1] end
        if found['name'] == group then return found['last-delivered-id'] end
    end
end

local delivered = last_delivered()

local function was_delivered(entry)
    local ms, seq = parts_of(entry)
    local last_ms, last_seq = parts_of(delivered)
    return ms < last_ms or (ms == last_ms and seq <= last_seq)
end

-- Handed out, and in nobody's hands now: no runner ever looks there again.
local function is_stranded(entry)
    return delivered and was_delivered(entry)
        and #redis.call('XPENDING', stream, group, entry, entry, 1) == 0
end

-- Will a runner come across the task by itself? What is left of an entry that leads nowhere goes.
local function is_known(id, entry)
    if not entry then return redis.call('ZSCORE', due, id) end
    local found = redis.call('XRANGE', stream, entry, entry)[1]
    -- A stream that was lost and made anew can have given the same id to another task's entry.
    if found and found[2][2] ~= id then return false end
    if found and not is_stranded(entry) then return true end
    hush(stream, group, entry)
    return false
end

local page = redis.call('ZSCAN', open, cursor, 'COUNT', size)
local ids, added = page[2], 0
for i = 1, #ids, 2 do
    local id = ids[i]
    local task = prefix .. id
    local seen = redis.call('HMGET', task, 'st', 'en')
    local status, entry = seen[1], seen[2]

    if status ~= 'pending' and status ~= 'running' then
        redis.call('ZREM', open, id)
    elseif not is_known(id, entry) then
        ring(stream, task, id)
        added = added + 1
    end
end
return { page[1], added }
