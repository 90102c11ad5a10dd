-- task_fail: the task cannot be done. The record stays until a person deletes or retries it, and
-- keeps the document it has begun, and the session its dialog, unless that has an age which it must
-- not outlive.
--
-- Promises: only under the token; a repeat says "held" and changes nothing.
--
-- KEYS  1-8 queue
-- ARGV  1 group  2 task id  3 token  4 code  5 detail  6 life of the session, see session_life.inc
-- Returns {"held"} or {"lost"}
--@include session_life.inc
--@include task_queue.inc
--@include task_hold.inc
--@include task_end.inc
local q, id, token, code, detail = queue(1, ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local session_rule = ARGV[6]

local status, known = status_under(q.task .. id, token)
if status ~= 'running' then return { status == 'failed' and 'held' or 'lost' } end

local control = fail(q, id, known, code, detail)
local _, oldest = life_rule(session_rule)
if oldest then release_session(q, id, known, session_rule) end
refill(q, control)
return { 'held' }
