-- quota_usage: the books of the last days, today first.
--
-- KEYS  1 books (prefix)
-- ARGV  1 how many days
-- Returns {day, {field, value, ...}, day, ...}  only days with something in their book
--@include quota.inc
local books, days = KEYS[1], tonumber(ARGV[1])

local today, reply = math.floor(now / DAY), {}
for day = today, today - days + 1, -1 do
    local fields = redis.call('HGETALL', books .. digits(day))
    if #fields > 0 then
        reply[#reply + 1] = day
        reply[#reply + 1] = fields
    end
end
return reply
