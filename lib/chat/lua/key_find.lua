-- key_find: what is known of a key, by its hash.
--
-- KEYS  1 installation  2 key ("" = none was sent)
-- Returns {how many keys were ever made, tenant, name, requests a minute, in flight, tokens a day};
--         a limit that the key does not have is "", and all behind the first when there is no key
local install, key = KEYS[1], KEYS[2]

local reply = { tonumber(redis.call('HGET', install, 'keys') or 0) }
if key ~= '' then
    local fields = redis.call('HMGET', key, 'tenant', 'name', 'requests_per_minute', 'in_flight',
                              'tokens_per_day')
    for i = 1, 5 do reply[i + 1] = fields[i] or '' end
end
return reply
