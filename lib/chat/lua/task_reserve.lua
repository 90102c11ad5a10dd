-- task_reserve: a runner which was handed this entry of the stream asks for the task.
--
-- Promises: one holder at a time; a holder whose lease has passed is replaced and can change
-- nothing from then on; an entry that stands for no work (task settled or gone, or rung twice)
-- goes. Repeating it under the same token counts one attempt only.
--
-- KEYS  1 task  2 stream
-- ARGV  1 group  2 consumer  3 entry  4 token  5 lease, ms
-- Returns {"reserved", {field, value...}}  the whole record
--         {"settled"}                      the entry was deleted
--         {"held"}                         another's lease lives
--@include task_queue.inc
local task, stream = KEYS[1], KEYS[2]
local group, consumer, entry, token = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local lease_ms = tonumber(ARGV[5])

local seen = redis.call('HMGET', task, 'st', 'en', 'tk', 'un')
local status, current, holder, held_until = seen[1], seen[2], seen[3], seen[4]

if current ~= entry or (status ~= 'pending' and status ~= 'running') then
    hush(stream, group, entry)
    return { 'settled' }
end

if status == 'pending' or holder ~= token then
    if status == 'running' and tonumber(held_until) > now then return { 'held' } end
    redis.call('HINCRBY', task, 'at', 1)
    redis.call('HINCRBY', task, 'tr', 1)
    redis.call('HSET', task, 'st', 'running', 't1', digits(now), 'tk', token, 'co', consumer)
end
lease(stream, group, task, consumer, lease_ms)
return { 'reserved', redis.call('HGETALL', task) }
