-- Events that no webhook is to be told of any more. They count as dealt with: whoever has just read one queues it no more.
-- KEYS: due, hooks, done   ARGV: memory, most remembered, then ids
local due, hooks, done = unpack(KEYS)
local memory, most = ARGV[1], ARGV[2]
local now, dropped = clock(), 0
for n = 3, #ARGV do
  local id = ARGV[n]
  redis.call('ZREM', due, id)
  dropped = dropped + redis.call('HDEL', hooks, id)
  redis.call('HDEL', hooks, 'n:' .. id)
  redis.call('ZADD', done, int(now), id)
end
redis.call('ZREMRANGEBYRANK', done, 0, -1 - most)
redis.call('PEXPIRE', done, memory)
return dropped
