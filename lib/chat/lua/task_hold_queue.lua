-- task_hold_queue: a person pauses the queue, or lets it go on, whatever had paused it.
--
-- KEYS  1-8 queue
-- ARGV  1 group  2 "1" = pause, "0" = go on  3 why
-- Returns how many wait in line now
--@include task_queue.inc
local q, pause, words = queue(1, ARGV[1]), ARGV[2] == '1', ARGV[3]

if pause then
    redis.call('HSET', q.control, 'hand', digits(now), 'hand_words', words)
else
    redis.call('HDEL', q.control, 'hand', 'hand_words', 'fault', 'words', 'since', 'tries', 'next',
               'canary', 'culprit')
    refill(q, control_of(q))
end
return redis.call('ZCARD', q.waiting)
