-- task_sweep_index: a page of one tenant's indexes: what stands for records that have expired goes,
-- and the marks in the sessions of those that soon will: only the record knows its session.
--
-- KEYS  1-8 queue
-- ARGV  1 group  2 cursor, see task_tenants.inc  3 size of a page  4 life of a record, ms
-- Returns {next cursor ("" = all were seen), how many went}
--@include task_queue.inc
--@include task_tenants.inc
local q = queue(1, ARGV[1])
local cursor, size, life = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

-- Two looks of a runner fit into it; with a short life, half of that.
local SOON = math.min(120000, life / 2)

-- Has the record expired? To ask makes Redis free it, which by itself is in no hurry.
local function is_over(id)
    local task = q.task .. id
    local left = redis.call('PTTL', task)
    if left >= 0 and left <= SOON then
        local seen = redis.call('HMGET', task, 'tn', 'se')
        redis.call('HDEL', session_key(q, seen[1], seen[2]), 't:' .. id)
    end
    return left == -2
end

-- One that was cancelled stands among the failed ones as well.
local function sweep_stream(index, failed, from)
    local gone, last = 0, nil
    local page = redis.call('XRANGE', index, from, digits(now - life + SOON), 'COUNT', size)
    for _, entry in ipairs(page) do
        if is_over(entry[2][2]) then
            gone = gone + redis.call('XDEL', index, entry[1])
            redis.call('ZREM', failed, entry[2][2])
        end
        last = entry[1]
    end
    return gone, #page == size and '(' .. last or nil
end

local tenant, from = walk_on(q.tenants, cursor, '-')
if not tenant then return { '', 0 } end
local index = index_key(q, tenant, 'tasks')
local gone, last = sweep_stream(index, index_key(q, tenant, 'failed'), from)
if last then return { tenant .. '|' .. last, gone } end
if redis.call('XLEN', index) == 0 then
    redis.call('DEL', index)
    redis.call('ZREM', q.tenants, tenant)
end
return { tenant .. '|', gone }
