-- task_reserve: a runner which was handed this entry of the stream asks for the task.
--
-- Promises: one holder at a time; a holder whose lease has passed is replaced and can change
-- nothing from then on; an entry that stands for no work (task settled or gone, rung twice, or
-- the queue is paused) goes. Repeating it under the same token counts one attempt only.
--
-- A crash is counted when a lease has passed: its holder neither renewed it nor gave it back. A
-- task that was in flight in two crashes runs alone next, so that a third tells that it is the
-- cause. A holder that was only slow takes the crash back, see status_under.
--
-- KEYS  1-8 queue
-- ARGV  1 group  2 consumer  3 task id  4 entry  5 token  6 lease, ms
--       7 "1" when nothing else is in flight at this runner  8 crashes alone that make poison
--       9 turns of a dialog, and 10 bytes of it, that are answered at once
-- Returns {"reserved", {field, value...}, page}  the whole record, and, unless the dialog is
--                           longer, what turn_page.lua says of it
--         {"poison", {field, value...}}    the record, but it is not to be tried again
--         {"suspect"}       ask again when nothing else is in flight
--         {"settled"}       the entry was deleted
--         {"held"}          another's lease lives
--@include task_queue.inc
--@include task_hold.inc
--@include turn_page.inc
local q = queue(1, ARGV[1])
local consumer, id, entry, token = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local lease_ms, alone, crashes_alone = tonumber(ARGV[6]), ARGV[7] == '1', tonumber(ARGV[8])
local page_turns, page_bytes = tonumber(ARGV[9]), tonumber(ARGV[10])
local task = q.task .. id

local CRASHES_TOGETHER = 2

local seen = redis.call('HMGET', task, 'st', 'en', 'tk', 'un', 'al', 'tn', 'cr', 'at', 'tr',
                        'se', 'nt', 't0')
local status, current, holder, held_until, was = seen[1], seen[2], seen[3], seen[4], seen[5]
local tenant, crashes = seen[6], tonumber(seen[7] or 0)
local attempts, tries = tonumber(seen[8] or 0), tonumber(seen[9] or 0)

-- The dialog as it was when the task was accepted; nil: longer than is answered at once.
local function dialog()
    local turns, session = tonumber(seen[11]), session_key(q, tenant, seen[10])
    if turns > page_turns then return nil end
    local keys = { session, session .. ':msgs', session .. ':kept', session .. ':kept:msgs' }
    return turn_page(keys, 0, turns, page_bytes, tonumber(seen[12]))
end

-- The entry was just handed to this consumer, unless it is another's that is taken over; and one
-- who runs alone may have had to wait since.
local function answer()
    if alone or status == 'running' then keep_entry(q, entry, consumer) end
    local record = redis.call('HGETALL', task)
    if was == 'poison' then return { 'poison', record } end
    local well, page = pcall(dialog)    -- else whoever asks for it alone hears why
    return { 'reserved', record, well and page or nil }
end

local function is_paused()
    local control = control_of(q)
    return control.hand or (control.fault and control.canary ~= id)
end

if current ~= entry or (status ~= 'pending' and status ~= 'running') then
    hush(q.stream, q.group, entry)
    return { 'settled' }
end

if status == 'running' then
    if holder == token then
        redis.call('HSET', task, 'un', digits(now + lease_ms))
        return answer()
    end
    if tonumber(held_until) > now then return { 'held' } end
    crashes = crashes + 1
    redis.call('HSET', task, 'cr', crashes, 'ct', holder, 'st', 'pending')
    redis.call('HDEL', task, 'un', 'co')
    redis.call('ZREM', q.running, id)
    if was == 'alone' and redis.call('HINCRBY', task, 'ac', 1) >= crashes_alone then
        was = 'poison'
    end
end

if is_paused() then
    let_go(q, id, entry)
    stand_in_line(q, tenant, { id })
    return { 'settled' }
end

local together = crashes < CRASHES_TOGETHER
if was ~= 'poison' then
    if not together and not alone then return { 'suspect' } end
    was = not together and 'alone'
end
if was then
    redis.call('HSET', task, 'al', was)
elseif seen[5] then
    redis.call('HDEL', task, 'al')
end
redis.call('HSET', task, 'st', 'running', 't1', digits(now), 'tk', token, 'co', consumer,
           'un', digits(now + lease_ms), 'at', attempts + 1, 'tr', tries + 1)
redis.call('ZADD', q.running, digits(now), id)
return answer()
