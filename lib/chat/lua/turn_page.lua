-- turn_page: a stretch of a dialog, see turn_page.inc.
--
-- KEYS  1 session  2 msgs  3, 4 the same of a deleted one, kept for its running tasks
-- ARGV  1 first turn, from 0  2 how many turns at most  3 bytes  4 the session as it was at this
--       time, ms, even if it was deleted since; 0 = as it is
-- Returns {} when there is no such session, else {turns, created, updated, entry...}
--@include turn_page.inc
return turn_page(KEYS, tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]))
