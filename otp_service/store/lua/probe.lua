-- A channel whose breaker is open may be asked again, by one call in the whole installation.
-- KEYS: channel   ARGV: holder, milliseconds that its call may take
local channel = KEYS[1]
local holder, lease = unpack(ARGV)
local now = clock()
local r = redis.call('HMGET', channel, 'open', 'probe', 'probe_until')
if not r[1] then return 1 end
if now < tonumber(r[1]) or (r[2] and now < tonumber(r[3])) then return 0 end
redis.call('HSET', channel, 'probe', holder, 'probe_until', int(now + lease))
return 1
