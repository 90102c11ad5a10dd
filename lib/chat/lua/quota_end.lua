-- quota_end: a turn has ended: its place is free, what it set aside becomes what it used.
-- Repeating it is harmless.
--
-- KEYS  1 flight  2 books (prefix)
-- ARGV  1 key id  2 member  3 tokens of the prompt  4 of the answer  5 in all
--       6 "1" when it may have been carried out before
-- Returns {"ended"} or {"known"}
--@include quota.inc
local flight, books = KEYS[1], KEYS[2]
local id, member, prompt, answer, total, again = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]

if redis.call('ZREM', flight, member) == 1 then
    set_aside(books, id, member, -1)
elseif again == '1' then
    return { 'known' }
end
local book = books .. string.match(member, ' (%d+) %d+$')
count(book, id, 'prompt', prompt)
count(book, id, 'completion', answer)
count(book, id, 'total', total)
return { 'ended' }
