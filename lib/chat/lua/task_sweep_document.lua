-- task_sweep_document: may this document, which lies in the staging folder, be trashed? Only when
-- its task has another one, or is gone. From then on no runner can record it.
--
-- KEYS  1 task  2 swept
-- ARGV  1 document  2 life of the mark, ms
-- Returns {"sweep"} or {"keep"}
--@include task_queue.inc
local task, swept, document, life = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2])

local named = redis.call('HGET', task, 'do')
if not named and redis.call('EXISTS', task) == 1 then return { 'keep' } end
for one in string.gmatch(named or '', '%S+') do
    if one == document then return { 'keep' } end
end
redis.call('ZREMRANGEBYSCORE', swept, '-inf', digits(now - life))
redis.call('ZADD', swept, digits(now), document)
return { 'sweep' }
