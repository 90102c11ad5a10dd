-- task_pause: this try has met a fault of configuration, which every other task would meet as
-- well: the queue is paused, and one task tries again now and then, for all of them.
--
-- Promises: only under the token; a repeat says "held" and changes nothing. A task that was the
-- cause of a pause which another task then lifted cannot cause one again: its fault is its own.
--
-- KEYS  1-8 queue
-- ARGV  1 group  2 task id  3 token  4 code  5 detail
--       6 wait before the first try, ms; it doubles each time up to 7
-- Returns {"held"}, {"lost"}, or {"own"}: nothing was changed
--@include task_queue.inc
--@include task_hold.inc
local q, id, token, code, detail = queue(1, ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local wait, longest = tonumber(ARGV[6]), tonumber(ARGV[7])
local task = q.task .. id

local status, known = status_under(task, token)
if status ~= 'running' then return { status == 'pending' and 'held' or 'lost' } end

local seen = redis.call('HMGET', q.control, 'fault', 'canary', 'tries', 'lifted', 'by')
local fault, canary, tries, lifted, by = seen[1], seen[2], tonumber(seen[3] or 0), seen[4], seen[5]
local paused_before = redis.call('HGET', task, 'pf')
if not fault and paused_before and lifted and by ~= id
    and tonumber(lifted) >= tonumber(paused_before) then
    return { 'own' }
end

let_go(q, id, known.entry)
redis.call('HSET', task, 'st', 'pending', 'ec', code, 'ed', detail, 'pf', digits(now))
redis.call('HINCRBY', task, 'at', -1)
forget_crashes(task)
stand_in_line(q, known.tenant, { id })

if not fault then
    redis.call('HSET', q.control, 'since', digits(now), 'culprit', id)
elseif canary ~= id then
    return { 'held' }
end
redis.call('HDEL', q.control, 'canary')
redis.call('HSET', q.control, 'fault', code, 'words', detail, 'tries', tries + 1,
           'next', digits(now + math.min(wait * 2 ^ math.min(tries, 30), longest)))
return { 'held' }
