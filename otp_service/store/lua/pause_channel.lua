-- An operator pauses a channel; it ends by itself.   KEYS: channel   ARGV: milliseconds, who says so
local channel = KEYS[1]
local span, by = unpack(ARGV)
local now = clock()
redis.call('HSET', channel, 'paused', int(now + span), 'paused_at', int(now), 'paused_by', by)
return int(now + span)
