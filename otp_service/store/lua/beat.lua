-- A worker says that it lives. Who has said nothing for long is dropped, so the set is as large as the fleet.
-- KEYS: workers   ARGV: name, milliseconds after which a silent one is dropped
local workers = KEYS[1]
local name, silent = unpack(ARGV)
local now = clock()
redis.call('ZADD', workers, int(now), name)
redis.call('ZREMRANGEBYSCORE', workers, '-inf', int(now - silent))
return 1
