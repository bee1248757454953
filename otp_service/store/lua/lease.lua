-- Take or renew a lease; a span of 0 gives it back.   KEYS: lease   ARGV: holder, milliseconds
-- 1 when it is this holder's (or was given back), 0 while another holds it.
local lease = KEYS[1]
local holder, span = ARGV[1], tonumber(ARGV[2])
local held = redis.call('GET', lease)
if held and held ~= holder then return 0 end
if span > 0 then redis.call('SET', lease, holder, 'PX', int(span)) else redis.call('DEL', lease) end
return 1
