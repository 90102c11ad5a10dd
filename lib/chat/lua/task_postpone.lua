-- task_postpone: this try has failed, or is given up; another is due later.
--
-- Promises: only under the token; a repeat says "held" and changes nothing; the task is in the
-- set of due ones when its entry leaves the stream.
--
-- KEYS  1 task  2 stream  3 due
-- ARGV  1 group  2 token  3 task id  4 delay, ms  5 "1" when the attempt counts, else "0"
--       6 code ("" = not a failure: neither try nor error is kept)  7 detail
-- Returns {"held"} or {"lost"}
--@include task_queue.inc
local task, stream, due = KEYS[1], KEYS[2], KEYS[3]
local group, token, id, delay, counts = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5] == '1'
local code, detail = ARGV[6], ARGV[7]

local status = status_under(task, token)
if status ~= 'running' then return { status == 'pending' and 'held' or 'lost' } end

hush(stream, group, redis.call('HGET', task, 'en'))
redis.call('ZADD', due, digits(now + delay), id)
redis.call('HSET', task, 'st', 'pending')
redis.call('HDEL', task, 'en', 'un', 'co')
if not counts then redis.call('HINCRBY', task, 'at', -1) end
if code == '' then
    redis.call('HINCRBY', task, 'tr', -1)
else
    redis.call('HSET', task, 'ec', code, 'ed', detail)
end
return { 'held' }
