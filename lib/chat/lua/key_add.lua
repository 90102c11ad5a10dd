-- key_add: a new key.
--
-- KEYS  1 installation  2 key  3 names of all keys
-- ARGV  1 tenant  2 name  3 hash  4 requests a minute  5 in flight  6 tokens a day ("" = not said)
-- Returns {"added"} or {"taken"}: the tenant has a key of this name
local install, key, names = KEYS[1], KEYS[2], KEYS[3]
local tenant, name, hash = ARGV[1], ARGV[2], ARGV[3]

if redis.call('HSETNX', names, tenant .. ':' .. name, hash) == 0 then return { 'taken' } end
local time = redis.call('TIME')
redis.call('HSET', key, 'tenant', tenant, 'name', name,
           'created', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)))
for i, limit in ipairs({ 'requests_per_minute', 'in_flight', 'tokens_per_day' }) do
    if ARGV[3 + i] ~= '' then redis.call('HSET', key, limit, ARGV[3 + i]) end
end
-- Only grows: an installation that has had a key is not open to all any more.
redis.call('HINCRBY', install, 'keys', 1)
return { 'added' }
