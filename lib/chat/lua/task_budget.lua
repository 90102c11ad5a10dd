-- task_budget: a bucket of writes that all runners draw from; it fills up evenly, and holds what
-- ten seconds bring.
--
-- Promises: over any time t no more than t * rate + the bucket's size are given out.
--
-- KEYS  1 bucket
-- ARGV  1 writes a minute
-- Returns 0: one is given, or how many ms until there is one
--@include task_queue.inc
local bucket, rate = KEYS[1], tonumber(ARGV[1]) / 60000
local size = math.max(1, rate * 10000)

local seen = redis.call('HMGET', bucket, 'left', 'at')
local passed = math.max(0, now - tonumber(seen[2] or now))
local left = math.min(size, tonumber(seen[1] or size) + passed * rate)
local wait = 0
if left >= 1 then
    left = left - 1
else
    wait = math.ceil((1 - left) / rate)
end
redis.call('HSET', bucket, 'left', string.format('%.6f', left), 'at', digits(now))
redis.call('PEXPIRE', bucket, 60000)
return wait
