-- task_forget_consumers: consumers of runners that are no more.
--
-- Promises: never one that still holds an entry, as its entries would be lost with it.
--
-- KEYS  1 stream
-- ARGV  1 group  2 ms without a word after which a consumer counts as gone
-- Returns how many were deleted
local stream, group, silent = KEYS[1], ARGV[1], tonumber(ARGV[2])

local forgotten = 0
local consumers = redis.pcall('XINFO', 'CONSUMERS', stream, group)
if consumers.err then return 0 end
for _, flat in ipairs(consumers) do
    local found = {}
    for i = 1, #flat, 2 do found[flat[i]] = flat[i + 1] end
    if found['pending'] == 0 and found['idle'] > silent then
        redis.call('XGROUP', 'DELCONSUMER', stream, group, found['name'])
        forgotten = forgotten + 1
    end
end
return forgotten
