-- quota_record: what a key without limits has used since the last time.
--
-- KEYS  1 books (prefix)  2 tenants
-- ARGV  1 key id  2 its name  3 tenant  4 life of a book, ms  5 requests  6 turns
--       7 tokens of prompts  8 of answers  9 in all
-- Returns {"recorded"}
--@include quota.inc
local books, tenants, id = KEYS[1], KEYS[2], ARGV[1]

local book = books .. digits(math.floor(now / DAY))
if ARGV[5] ~= '0' then
    book = count_requests(books, tenants, ARGV[3], id, ARGV[2], ARGV[5], ARGV[4])
end
for i, what in ipairs({ 'turns', 'prompt', 'completion', 'total' }) do
    count(book, id, what, ARGV[5 + i])
end
redis.call('PEXPIRE', book, ARGV[4], 'NX')
return { 'recorded' }
