-- task_finish: the document is written and where it belongs.
--
-- Promises: only under the token; a repeat says "held" and changes nothing.
--
-- KEYS  1 task  2 stream  3 open  4 session  5 msgs
-- ARGV  1 group  2 token  3 task id  4 kind of store  5 document
--       6 life of the record, ms (0 = for ever)  7 life of the session, see session_life.inc
-- Returns {"held"} or {"lost"}
--@include session_life.inc
--@include task_queue.inc
local task, stream, open, session, msgs = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local group, token, id, store, document = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local record_life, session_life = ARGV[6], ARGV[7]

local status = status_under(task, token)
if status ~= 'running' then return { status == 'finished' and 'held' or 'lost' } end

redis.call('HSET', task, 'sk', store, 'do', document)
redis.call('HDEL', task, 'tr', 'ec', 'ed')
settle('finished', task, id, stream, group, open, session, msgs, session_life)
if record_life ~= '0' then redis.call('PEXPIRE', task, record_life) end
return { 'held' }
