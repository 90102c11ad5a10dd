-- task_postpone: this try has failed, or is given up; another is due later. Not if the session was
-- deleted meanwhile: then the task is cancelled, as those which waited were.
--
-- Promises: only under the token; a repeat says "held" and changes nothing; the task is in the
-- set of due ones when its entry leaves the stream.
--
-- KEYS  1-8 queue
-- ARGV  1 group  2 task id  3 token  4 delay, ms  5 "1" when the attempt counts, else "0"
--       6 code ("" = not a failure: neither try nor error is kept)  7 detail
--       8 life of a cancelled record, ms (0 = for ever)
-- Returns {"held"} or {"lost"}
--@include session_life.inc
--@include task_queue.inc
--@include task_hold.inc
--@include task_end.inc
local q, id, token, delay = queue(1, ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])
local counts, code, detail, record_life = ARGV[5] == '1', ARGV[6], ARGV[7], ARGV[8]
local task = q.task .. id

local status, known = status_under(task, token)
if status ~= 'running' then return { status and status ~= 'finished' and 'held' or 'lost' } end

local session = session_key(q, known.tenant, known.session)
if session_of(session, id, known.created) == session .. ':kept' then
    refill(q, cancel(q, id, known, 'The session was deleted.', '0 0', record_life))
    return { 'held' }
end

let_go(q, id, known.entry)
redis.call('ZADD', q.due, digits(now + delay), id)
redis.call('HSET', task, 'st', 'pending')
if not counts then redis.call('HINCRBY', task, 'at', -1) end
if code == '' then
    redis.call('HINCRBY', task, 'tr', -1)
else
    redis.call('HSET', task, 'ec', code, 'ed', detail)
    forget_crashes(task)
end
refill(q, canary_ended(q, id, false))
return { 'held' }
