-- task_queue_state: is the queue paused, and how much stands where.
--
-- KEYS  1-8 queue
-- ARGV  1 group
-- Returns {hand, its words, fault, its words, since, next try,  open, running, due, in line}
--@include task_queue.inc
local q = queue(1, ARGV[1])
local c = redis.call('HMGET', q.control, 'hand', 'hand_words', 'fault', 'words', 'since', 'next')

for i = 1, 6 do c[i] = c[i] or '' end
c[7] = 0
for _, tenant in ipairs(redis.call('ZRANGE', q.tenants, 0, -1)) do
    c[7] = c[7] + redis.call('ZCARD', index_key(q, tenant, 'open'))
end
c[8] = redis.call('ZCARD', q.running)
c[9] = redis.call('ZCARD', q.due)
c[10] = redis.call('ZCARD', q.waiting)
return c
