-- key_revoke: forget a key.
--
-- KEYS  1 names of all keys  2 what a key's own name begins with
-- ARGV  1 "tenant:name", or the beginning of its hash
-- Returns {"revoked", "tenant:name"}, {"unknown"}, or {"several"}: more than one hash begins so
local names, begins, which = KEYS[1], KEYS[2], ARGV[1]

local found = redis.call('HEXISTS', names, which) == 1 and which or nil
if not found then
    local all = redis.call('HGETALL', names)
    for i = 1, #all, 2 do
        if string.sub(all[i + 1], 1, #which) == which then
            if found then return { 'several' } end
            found = all[i]
        end
    end
end
if not found then return { 'unknown' } end
redis.call('DEL', begins .. redis.call('HGET', names, found))
redis.call('HDEL', names, found)
return { 'revoked', found }
