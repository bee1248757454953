-- Queue events for one webhook, each once, due at once.
-- KEYS: due, hooks, done, gone   ARGV: most, life, then pairs of id, event
local due, hooks, done, gone = unpack(KEYS)
local most, life = tonumber(ARGV[1]), ARGV[2]
if redis.call('EXISTS', gone) == 1 then return 0 end
local now, waiting, dropped = clock(), redis.call('ZCARD', due), 0
for i = 3, #ARGV, 2 do
  local id = ARGV[i]
  -- The reader of an event may die between this and its acknowledgement: the next one brings it again.
  if not redis.call('ZSCORE', due, id) and not redis.call('ZSCORE', done, id) then
    if waiting >= most then
      dropped = dropped + 1
    else
      redis.call('ZADD', due, int(now), id)
      redis.call('HSET', hooks, id, ARGV[i + 1])
      waiting = waiting + 1
    end
  end
end
redis.call('PEXPIRE', due, life)
redis.call('PEXPIRE', hooks, life)
return dropped
