-- Add an entry to the audit trail, behind the one that it was linked to; 0 when another came between.
-- KEYS: audit   ARGV: that entry's id ('' for none), how long and how many entries are kept, then fields of the new one
local audit = KEYS[1]
local expected, keep, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local tail = redis.call('XREVRANGE', audit, '+', '-', 'COUNT', 1)
if (tail[1] and tail[1][1] or '') ~= expected then return 0 end
redis.call('XTRIM', audit, 'MINID', int(clock() - keep))
redis.call('XTRIM', audit, 'MAXLEN', int(most - 1))
redis.call('XADD', audit, '*', unpack(ARGV, 4))
redis.call('PEXPIRE', audit, int(keep))
return 1
