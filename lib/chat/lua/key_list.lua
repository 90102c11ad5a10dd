-- key_list: all keys, or those of one tenant, without an order.
--
-- KEYS  1 names of all keys  2 what a key's own name begins with
-- ARGV  1 tenant ("" = all)
-- Returns {hash, tenant, name, created, requests a minute, in flight, tokens a day, hash, ...}
local names, begins, only = KEYS[1], KEYS[2], ARGV[1]

local reply = {}
for _, hash in ipairs(redis.call('HVALS', names)) do
    local fields = redis.call('HMGET', begins .. hash, 'tenant', 'name', 'created',
                              'requests_per_minute', 'in_flight', 'tokens_per_day')
    if fields[1] and (only == '' or only == fields[1]) then
        reply[#reply + 1] = hash
        for i = 1, 6 do reply[#reply + 1] = fields[i] or '' end
    end
end
return reply
