-- turn_renew: the turn lives on; its lease begins anew.
--
-- Promises: only for the newest fence, and never for a lock that was given up.
--
-- KEYS  1 lock  2 idem ("" = no Idempotency-Key)
-- ARGV  1 fence  2 lease, ms  3 life of the lock's key, ms
-- Returns {"renewed"} or {"lost"}
--@include turn_queue.inc
local lock, idem = KEYS[1], KEYS[2]
local fence, lease, lock_life = ARGV[1], tonumber(ARGV[2]), ARGV[3]

local held = redis.call('HMGET', lock, 'fence', 'until')
if held[1] ~= fence or held[2] == '0' then return { 'lost' } end

redis.call('HSET', lock, 'until', digits(now + lease))
redis.call('PEXPIRE', lock, lock_life)
if idem ~= '' and redis.call('HGET', idem, 'fence') == fence then
    redis.call('PEXPIRE', idem, lease)
end
return { 'renewed' }
