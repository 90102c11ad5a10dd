-- quota_renew: these turns are still in flight. One that was taken for dead gets its place back.
--
-- KEYS  1 flight  2 books (prefix)
-- ARGV  1 key id  2 lease, ms  3... members
-- Returns {"renewed"}
--@include quota.inc
local flight, books, id, lease = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2])

for i = 3, #ARGV do
    if redis.call('ZADD', flight, digits(now + lease), ARGV[i]) == 1 then
        set_aside(books, id, ARGV[i], 1)
    end
end
redis.call('PEXPIRE', flight, DAY)
return { 'renewed' }
