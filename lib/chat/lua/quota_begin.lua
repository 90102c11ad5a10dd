-- quota_begin: may this key's request come in? If so, it is counted, and a turn gets its place and
-- its tokens, in the same step: so the limits hold however many ask at once, and wherever.
--
-- Promises: in no 60 seconds are more requests let in than the limit; there are never more turns
-- in flight than the limit; turns that run beside each other have all they set aside within
-- what the day has left. A turn alone may begin as long as anything is left, as it cannot know its
-- cost. A request that is refused costs nothing.
--
-- KEYS  1 times of the latest requests, newest first  2 flight  3 books (prefix)  4 tenants
-- ARGV  1 key id  2 its name  3 tenant  4 requests a minute  5 turns in flight  6 tokens a day, each
--       0 for no limit  7 me ("" = no turn)  8 tokens to set aside  9 lease, ms
--       10 life of a book, ms
-- Returns {what, ms until it is worth trying again, requests left, ms until there is another,
--          turns left, tokens left, ms until the day ends, member}
--         what: "granted", or the limit that was met: "requests", "turns", "tokens"; what is left
--         counts only where there is a limit
--@include quota.inc
local times, flight, books, tenants = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, name, tenant = ARGV[1], ARGV[2], ARGV[3]
local per_minute, places, per_day = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local me, want, lease, life = ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10]

-- How many of the times are of the last minute; the others are dropped. Found by halving.
local function latest()
    local low, high = 0, redis.call('LLEN', times)
    while low < high do
        local middle = math.floor((low + high) / 2)
        if tonumber(redis.call('LINDEX', times, middle)) > now - MINUTE then
            low = middle + 1
        else
            high = middle
        end
    end
    if low == 0 then redis.call('DEL', times) else redis.call('LTRIM', times, 0, low - 1) end
    return low
end

local day = math.floor(now / DAY)
local book, day_left = books .. digits(day), (day + 1) * DAY - now
local asked = per_minute > 0 and latest() or 0
if me ~= '' then forget_dead(flight, books, id) end
local flying = redis.call('ZCARD', flight)
local used = redis.call('HMGET', book, id .. ' total', id .. ' reserved')
local spent, reserved = tonumber(used[1] or 0), tonumber(used[2] or 0)

local what, wait = 'granted', 0
if per_minute > 0 and asked >= per_minute then
    what, wait = 'requests', redis.call('LINDEX', times, -1) + MINUTE - now
elseif me ~= '' and places > 0 and flying >= places then
    what, wait = 'turns', 1000
elseif me ~= '' and per_day > 0 and spent >= per_day then
    what, wait = 'tokens', day_left
elseif me ~= '' and per_day > 0 and reserved > 0 and spent + reserved + want > per_day then
    what, wait = 'tokens', 1000     -- those in flight may give some back
end

local member = ''
if what == 'granted' then
    if per_minute > 0 then
        redis.call('LPUSH', times, digits(now))
        redis.call('PEXPIRE', times, MINUTE)
        asked = asked + 1
    end
    count_requests(books, tenants, tenant, id, name, 1, life)
    if me ~= '' then
        member = me .. ' ' .. digits(day) .. ' ' .. digits(want)
        redis.call('ZADD', flight, digits(now + lease), member)
        redis.call('PEXPIRE', flight, DAY)
        set_aside(books, id, member, 1)
        count(book, id, 'turns', 1)
        flying, reserved = flying + 1, reserved + want
    end
else
    count(book, id, 'refused', 1)
    redis.call('PEXPIRE', book, life, 'NX')
end

local oldest = asked > 0 and redis.call('LINDEX', times, -1) or now - MINUTE
return { what, wait, per_minute - asked, oldest + MINUTE - now, math.max(places - flying, 0),
         math.max(per_day - spent - reserved, 0), day_left, member }
