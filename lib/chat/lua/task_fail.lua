-- task_fail: the task cannot be done. The record stays until a person deletes or retries it, and
-- keeps the document it has begun.
--
-- Promises: only under the token; a repeat says "held" and changes nothing.
--
-- KEYS  1 task  2 stream  3 open  4 session  5 msgs
-- ARGV  1 group  2 token  3 task id  4 code  5 detail  6 life of the session, see session_life.inc
-- Returns {"held"} or {"lost"}
--@include session_life.inc
--@include task_queue.inc
local task, stream, open, session, msgs = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local group, token, id = ARGV[1], ARGV[2], ARGV[3]
local code, detail, session_life = ARGV[4], ARGV[5], ARGV[6]

local status = status_under(task, token)
if status ~= 'running' then return { status == 'failed' and 'held' or 'lost' } end

redis.call('HSET', task, 'ec', code, 'ed', detail)
settle('failed', task, id, stream, group, open, session, msgs, session_life)
return { 'held' }
