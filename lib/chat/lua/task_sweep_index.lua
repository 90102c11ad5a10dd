-- task_sweep_index: a page of one tenant's indexes: what stands for records that have expired goes.
--
-- KEYS  1-8 queue  9 tenants
-- ARGV  1 group  2 cursor ("" = begin)  3 size of a page  4 life of a record, ms
-- Returns {next cursor ("" = all were seen), how many went}
--@include task_queue.inc
local q, tenants = queue(1, ARGV[1]), KEYS[9]
local cursor, size, life = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

-- A cursor is <tenant>|<entry>. Without one, or when its tenant has gone, the next tenant's turn.
local function place()
    local tenant, entry = string.match(cursor, '^(.*)|(.*)$')
    if entry and entry ~= '' then return tenant, '(' .. entry end
    local all = redis.call('SMEMBERS', tenants)
    table.sort(all)
    for _, name in ipairs(all) do
        if not tenant or name > tenant then return name, '-' end
    end
end

local function sweep_stream(index, from)
    local gone, last = 0, nil
    local page = redis.call('XRANGE', index, from, digits(now - life), 'COUNT', size)
    for _, entry in ipairs(page) do
        if redis.call('EXISTS', q.task .. entry[2][2]) == 0 then
            gone = gone + redis.call('XDEL', index, entry[1])
        end
        last = entry[1]
    end
    return gone, #page == size and last or nil
end

local function sweep_failed(index)
    local gone = 0
    for _, id in ipairs(redis.call('ZRANGE', index, '-inf', digits(now - life), 'BYSCORE',
                                   'LIMIT', 0, size)) do
        if redis.call('EXISTS', q.task .. id) == 0 then
            gone = gone + redis.call('ZREM', index, id)
        end
    end
    return gone
end

local tenant, from = place()
if not tenant then return { '', 0 } end
local index = index_key(q, tenant, 'tasks')
local gone, last = sweep_stream(index, from)
if last then return { tenant .. '|' .. last, gone } end
gone = gone + sweep_failed(index_key(q, tenant, 'failed'))
if redis.call('XLEN', index) == 0 then
    redis.call('DEL', index)
    redis.call('SREM', tenants, tenant)
end
return { tenant .. '|', gone }
