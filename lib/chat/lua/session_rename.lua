-- session_rename: another title, or none; the session must be there. Its life goes on as before.
--
-- KEYS  1 session
-- ARGV  1 title ("" = none)
-- Returns {} when there is no such session, else {username, title, prompt, turns, created, updated}
local session, title = KEYS[1], ARGV[1]

if redis.call('EXISTS', session) == 0 then return {} end
if title == '' then
    redis.call('HDEL', session, 'title')
else
    redis.call('HSET', session, 'title', title)
end
return redis.call('HMGET', session, 'username', 'title', 'prompt', 'turns', 'created', 'updated')
