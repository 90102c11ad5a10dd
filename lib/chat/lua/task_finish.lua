-- task_finish: the document is written and where it belongs.
--
-- Promises: only under the token; a repeat says "held" and changes nothing.
--
-- KEYS  1-8 queue
-- ARGV  1 group  2 task id  3 token  4 kind of store  5 document
--       6 life of the session, see session_life.inc  7 life of the record, ms (0 = for ever)
-- Returns {"held"} or {"lost"}
--@include session_life.inc
--@include task_queue.inc
--@include task_hold.inc
--@include task_end.inc
local q, id, token = queue(1, ARGV[1]), ARGV[2], ARGV[3]
local store, document, session_rule, record_life = ARGV[4], ARGV[5], ARGV[6], ARGV[7]

local task = q.task .. id

local status, known = status_under(task, token)
if status ~= 'running' then return { status == 'finished' and 'held' or 'lost' } end

hush(q.stream, q.group, known.entry)
redis.call('ZREM', q.running, id)
redis.call('ZREM', index_key(q, known.tenant, 'open'), id)
redis.call('HSET', task, 'st', 'finished', 't2', digits(now), 'sk', store, 'do', document)
redis.call('HDEL', task, 'en', 'un', 'co', 'tr', 'cr', 'ct', 'al', 'ac', 'ec', 'ed', 'pf')
if known.words then     -- an error's words may have made it large: it is made small again
    local all = redis.call('HGETALL', task)
    redis.call('DEL', task)
    redis.call('HSET', task, unpack(all))
end
if record_life ~= '0' then redis.call('PEXPIRE', task, record_life) end
release_session(q, id, known, session_rule)

-- A quarter at a time: half of what the stream holds is in flight, so there is still enough in it.
local control = canary_ended(q, id, true)
refill(q, control, control.window / 4)
return { 'held' }
