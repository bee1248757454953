-- What became of a claimed event: done with, to be sent again later, or its webhook wants nothing more.
-- KEYS: due, hooks, done, gone   ARGV: id, attempt, fate, delay, memory, most remembered, life of gone
local due, hooks, done, gone = unpack(KEYS)
local id, attempt, fate, delay, memory, most, gone_life = unpack(ARGV)
if redis.call('HGET', hooks, 'n:' .. id) ~= attempt then return 0 end
local now = clock()
if fate == 'retry' then
  redis.call('ZADD', due, 'XX', int(now + delay), id)
  return 1
end
if fate == 'gone' then
  redis.call('SET', gone, int(now), 'PX', gone_life)
  redis.call('DEL', due, hooks)
  return 1
end
redis.call('ZREM', due, id)
redis.call('HDEL', hooks, id, 'n:' .. id)
redis.call('ZADD', done, int(now), id)
redis.call('ZREMRANGEBYSCORE', done, '-inf', int(now - memory))
redis.call('ZREMRANGEBYRANK', done, 0, -1 - most)
redis.call('PEXPIRE', done, memory)
return 1
