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
local q, id, token = queue(1, ARGV[1]), ARGV[2], ARGV[3]
local store, document, session_rule, record_life = ARGV[4], ARGV[5], ARGV[6], ARGV[7]

local status = status_under(q.task .. id, token)
if status ~= 'running' then return { status == 'finished' and 'held' or 'lost' } end

redis.call('HSET', q.task .. id, 'sk', store, 'do', document)
finish(q, id, session_rule, record_life)
return { 'held' }
