-- task_list: a page of a tenant's tasks, newest first.
--
-- Promises: looks at a bounded number of tasks, so a page may hold fewer than were asked for,
-- even none, while there are more. Takes out of the index what has expired.
--
-- KEYS  1-8 queue
-- ARGV  1 group  2 tenant  3 status ("" = any)  4 session id ("" = any)  5 cursor ("" = the first)
--       6 how many at most
-- Returns {"page", next cursor ("" = none), {id, {field, value...}}...}, or {"unknown"}: no such
-- session
--@include task_queue.inc
local q, tenant, status, session_id = queue(1, ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local cursor, most = ARGV[5], tonumber(ARGV[6])

local LOOK_AT_MOST = 2000

-- Each source gives up to `count` pairs {id, cursor behind it}; fewer: there are no more.

local function from_stream(count)
    local index = index_key(q, tenant, 'tasks')
    local entries = redis.call('XREVRANGE', index, cursor == '' and '+' or '(' .. cursor, '-',
                               'COUNT', count)
    local found = {}
    for i, entry in ipairs(entries) do
        found[i] = { entry[2][2], entry[1] }
        if redis.call('EXISTS', q.task .. entry[2][2]) == 0 then
            redis.call('XDEL', index, entry[1])
            redis.call('ZREM', index_key(q, tenant, 'failed'), entry[2][2])
        end
    end
    return found
end

-- How many stand before what follows this cursor. A task that has left the set is put back for a
-- moment, which nobody else can see: others may have its time.
local function place_after(set, score, id)
    local rank = redis.call('ZREVRANK', set, id)
    if not rank then
        redis.call('ZADD', set, score, id)
        rank = redis.call('ZREVRANK', set, id)
        redis.call('ZREM', set, id)
        return rank
    end
    return rank + 1
end

-- A cursor is <score>:<id>.
local function from_set(set, count)
    local first = 0
    if cursor ~= '' then first = place_after(set, string.match(cursor, '^(%d+):(.*)$')) end
    local flat, found = redis.call('ZREVRANGE', set, first, first + count - 1, 'WITHSCORES'), {}
    for i = 1, #flat, 2 do
        found[#found + 1] = { flat[i], digits(flat[i + 1]) .. ':' .. flat[i] }
    end
    return found
end

-- All marks of the session, the newest first, from behind the cursor on.
local function marks_of_session()
    local flat, marks = redis.call('HGETALL', session_key(q, tenant, session_id)), {}
    for i = 1, #flat, 2 do
        local id = string.match(flat[i], '^t:(.*)')
        local place = id and string.format('%015d:%s', math.abs(flat[i + 1]), id)
        if id and (cursor == '' or place < cursor) then marks[#marks + 1] = { id, place } end
    end
    table.sort(marks, function(a, b) return a[2] > b[2] end)
    return marks
end

-- Read and sorted once; what was given is behind the cursor when more is asked for.
local marks, given
local function from_session(count)
    if not marks then marks, given = marks_of_session(), 0 end
    local found = {}
    while #found < count and given < #marks do
        given = given + 1
        found[#found + 1] = marks[given]
    end
    return found
end

local function source(count)
    if session_id ~= '' then return from_session(count) end
    if status == 'pending' then return from_set(index_key(q, tenant, 'open'), count) end
    if status == 'running' then return from_set(q.running, count) end
    if status == 'failed' then return from_set(index_key(q, tenant, 'failed'), count) end
    return from_stream(count)
end

if session_id ~= ''
    and redis.call('HEXISTS', session_key(q, tenant, session_id), 'created') == 0 then
    return { 'unknown' }
end

local page, looked = { 'page', '' }, 0
while looked < LOOK_AT_MOST and #page - 2 < most do
    local count = math.min(most + 1, LOOK_AT_MOST)
    local found = source(count)
    for _, pair in ipairs(found) do
        if #page - 2 == most then
            page[2] = cursor
            return page
        end
        local seen = redis.call('HMGET', q.task .. pair[1], 'tn', 'st')
        if seen[1] == tenant and (status == '' or seen[2] == status) then
            page[#page + 1] = { pair[1], redis.call('HGETALL', q.task .. pair[1]) }
        end
        cursor = pair[2]
    end
    if #found < count then return page end
    looked = looked + count
end
page[2] = cursor
return page
