-- An operator holds back sends: all, a region's, or those to numbers that begin so; it ends by itself.
-- KEYS: pauses   ARGV: what, milliseconds, who says so, how many pauses there may be
-- Returns the moment at which it ends, 0 when there are too many.
local pauses = KEYS[1]
local what, span, by, most = unpack(ARGV)
local now = clock()
local held = redis.call('HGETALL', pauses)
for i = 1, #held, 2 do
  if tonumber(string.match(held[i + 1], '^%d+')) <= now then redis.call('HDEL', pauses, held[i]) end
end
if redis.call('HLEN', pauses) >= tonumber(most) and redis.call('HEXISTS', pauses, what) == 0 then return 0 end
redis.call('HSET', pauses, what, int(now + span) .. ' ' .. int(now) .. ' ' .. by)
return int(now + span)
