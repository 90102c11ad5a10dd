-- turn_renew: the turn lives on; its lease begins anew.
--
-- Promises: only for the newest fence, and never for a lock that was given up. One that Redis has
-- forgotten, as it was restarted or replaced, is taken again.
--
-- KEYS  1 lock  2 idem ("" = no Idempotency-Key)
-- ARGV  1 fence  2 lease, ms  3 life of the lock's key, ms  4 me, as in turn_begin
-- Returns {"renewed"} or {"lost"}
--@include turn_queue.inc
local lock, idem = KEYS[1], KEYS[2]
local fence, lease, lock_life, me = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]

local held = redis.call('HMGET', lock, 'fence', 'until', 'ticket')
if not holds(fence, held[1], held[2]) then return { 'lost' } end

local kept = held[3] or idem ~= ''
write_lock(kept, 'HSET', lock, 'fence', fence, 'until', digits(now + lease), 'owner', me)
write_lock(kept, 'PEXPIRE', lock, lock_life)
if idem ~= '' and redis.call('HGET', idem, 'fence') == fence then
    redis.call('PEXPIRE', idem, lease)
end
return { 'renewed' }
