-- session_list: a page of a tenant's or a user's sessions, the newest first.
--
-- Promises: costs the same however many sessions there are; what comes after the cursor is
-- found also when the cursor's own session is gone; entries without a session are taken
-- out. After `most` of those the page ends, to be gone on with: the server is not held up.
--
-- KEYS  1 the index: of all sessions, or of a user's  2 index of all sessions
-- ARGV  1 username, "" = all  2 sessions wanted  3 most entries looked at
--       4 time and 5 id of the entry after which to begin, "" = at the newest
-- Returns {time, id, session...}: the last entry looked at, nil and nil when none follows. Each
-- session is {id, username, title, prompt, turns, created, updated}
--@include session_index.inc
local index, all = KEYS[1], KEYS[2]
local username, wanted, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local after_time, after_id = ARGV[4], ARGV[5]

-- How many entries stand before the one after this. One that is gone is put back for a moment,
-- which nobody else can see.
local function place_after(time, id)
    if time == '' then return 0 end
    if redis.call('ZSCORE', index, id) == time then
        return redis.call('ZREVRANK', index, id) + 1
    end
    local there = redis.call('ZSCORE', index, id)
    redis.call('ZADD', index, time, id)
    local place = redis.call('ZREVRANK', index, id)
    if not there then
        redis.call('ZREM', index, id)
        return place
    end
    redis.call('ZADD', index, there, id)
    return tonumber(there) > tonumber(time) and place + 1 or place
end

local reply, dead = { false, false }, {}

-- False for an entry that speaks of no session, or of another user's of the same name.
local function take(id)
    local s = redis.call('HMGET', session_key(all, id),
                         'created', 'username', 'title', 'prompt', 'turns', 'updated')
    if not s[1] or (username ~= '' and s[2] ~= username) then return false end
    reply[#reply + 1] = { id, s[2], s[3], s[4], s[5], s[1], s[6] }
    return true
end

local place, looked = place_after(after_time, after_id), 0
local size = redis.call('ZCARD', index)
while place < size and #reply - 2 < wanted and looked < most do
    local chunk = redis.call('ZREVRANGE', index, place, place + wanted - (#reply - 2) - 1,
                             'WITHSCORES')
    for i = 1, #chunk, 2 do
        if not take(chunk[i]) then dead[#dead + 1] = chunk[i] end
        reply[1], reply[2] = chunk[i + 1], chunk[i]
    end
    looked = looked + #chunk / 2
    place = place + #chunk / 2
end
if place >= size then reply[1], reply[2] = false, false end
for _, id in ipairs(dead) do redis.call('ZREM', index, id) end
return reply
