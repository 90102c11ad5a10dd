-- turn_begin: take the session's lock and read the window, or say why not.
--
-- Promises: one holder at a time; first come, first served among those who wait; every grant
-- has a larger fence than any before it in this session; a request whose Idempotency-Key was
-- answered is never granted again; the cost does not depend on how long the dialog is. Repeating it
-- is harmless: who holds the lock gets the same grant again, who gave it up gets none.
--
-- KEYS  1 session  2 msgs  3 lock  4 wait  5 idem ("" = no Idempotency-Key)
-- ARGV  1 me: "<channel> <number>", used by this request alone
--       2 lease, ms  3 life of the lock's key, ms; half of it is longer than any turn
--       4 how long I live in the queue, ms
--       5 "1" when I may wait, else "0"
--       6 most turns and 7 most bytes of the window
--       8 what the request says: a hash of session and body
-- Returns {"begun", fence, number of the turn, turns in the summary, prompt, summary, entry...}
--         with the entries oldest first
--         {"replay", number of the turn, entry}   answered before; nothing is locked
--         {"reused"}             the key belongs to another request
--         {"wait", ms}           in the queue; the lock is held for so long yet, 0 when it is free
--         {"busy", ms}           the same, but not in the queue
--@include turn_queue.inc
local session, msgs, lock, wait, idem = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local me, lease, wait_life = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[4])
local lock_life = tonumber(ARGV[3])
local may_wait, most_turns, most_bytes = ARGV[5] == '1', tonumber(ARGV[6]), tonumber(ARGV[7])
local says = ARGV[8]

-- Ends a request that needs no lock: it may stand in the queue, even first.
local function without_lock(...)
    queue_leave(lock, wait, me)
    if lock_left(lock) == 0 then queue_wake(lock, wait) end
    return { ... }
end

-- The newest of so many turns that fit both bounds, newest first. A few are read, then as many
-- more as would fit if all are alike: a list of long answers must not be read whole only to be
-- thrown away.
local function newest_turns(count)
    local found, bytes, from, step = {}, 0, 1, 8
    count = math.min(count, most_turns)
    while from <= count do
        local to = math.min(from + step - 1, count)
        local chunk = redis.call('LRANGE', msgs, -to, -from)
        for i = #chunk, 1, -1 do
            bytes = bytes + #chunk[i]
            if bytes > most_bytes then return found end
            found[#found + 1] = chunk[i]
        end
        from, step = to + 1, 1 + math.floor((most_bytes - bytes) / (bytes / to))
    end
    return found
end

-- A repeat of a request that runs just now waits for its answer, whoever else may wait. The
-- record of a running one lives as long as its lease, so a dead one is no record.
if idem ~= '' then
    local seen = redis.call('HMGET', idem, 'says', 'state', 'fence', 'turn')
    if seen[1] and seen[1] ~= says then return without_lock('reused') end
    if seen[2] == 'done' then
        local entry = redis.call('LINDEX', msgs, seen[4] - 1)
        if is_turn(entry, seen[3]) then return without_lock('replay', seen[4], entry) end
    end
    may_wait = may_wait or seen[2] == 'running'
end

-- What ends later than if it began now was begun before the clock was set back. It begins anew, or
-- the dead would hold the session until the clock has caught up; the living renew it anyway.
local function left_at_most(life, field, left)
    if left <= life then return left end
    write_lock(false, 'HSET', lock, field, digits(now + life))
    return life
end

local held = redis.call('HMGET', lock, 'fence', 'until', 'ticket', 'owner')
local fence, mine = held[1], held[4] == me
if mine and held[2] == '0' then return { 'busy', 0 } end    -- a late question: its turn is over

local left = left_at_most(lease, 'until', math.max(tonumber(held[2] or 0) - now, 0))
local first = held[3] and queue_first(lock, wait)
if first then
    local field = 'w:' .. first
    left_at_most(wait_life, field, redis.call('HGET', lock, field) - now)
end
mine = mine and left > 0
if not mine and (left > 0 or (first and first ~= me)) then
    if not redis.call('ZSCORE', wait, me) then
        if not may_wait then return { 'busy', left } end
        local ticket = digits(next_number(held[3]))
        redis.call('HSET', lock, 'ticket', ticket)
        redis.call('ZADD', wait, ticket, me)
    end
    redis.call('HSET', lock, 'w:' .. me, digits(now + wait_life))
    if left > 0 then
        redis.call('HSET', lock, 'fence', fence, 'until', digits(now + left), 'owner', held[4])
    end
    redis.call('PEXPIRE', lock, lock_life)
    redis.call('PEXPIRE', wait, lock_life)
    if left == 0 then queue_wake(lock, wait) end
    return { 'wait', left }
end

-- Which half of a life of the lock's key a time, us, falls into. The first grant in each sets the
-- key's life anew, so that for any other the larger half is left of it.
local function half_life(us)
    return math.floor(us / 1000 / (lock_life / 2))
end

if first == me then queue_leave(lock, wait, me) end
local aged = not fence or half_life(fence) ~= half_life(now_us)
if not mine then fence = digits(next_number(fence)) end
local kept = held[3] or idem ~= ''
write_lock(kept, 'HSET', lock, 'fence', fence, 'until', digits(now + lease), 'owner', me)
if aged or idem ~= '' then write_lock(kept, 'PEXPIRE', lock, lock_life) end
if idem ~= '' then
    redis.call('HSET', idem, 'says', says, 'state', 'running', 'fence', fence)
    redis.call('PEXPIRE', idem, lease)
end

local known = redis.call('HMGET', session, 'prompt', 'summary_turns', 'summary', 'turns')
local count = tonumber(known[4] or 0)
local reply = { 'begun', fence, count + 1, tonumber(known[2] or 0), known[1] or '', known[3] or '' }
local turns = newest_turns(count)
for i = #turns, 1, -1 do reply[#reply + 1] = turns[i] end
return reply
