-- Claim what is due for one webhook: who was given it has it alone until its lease is over.
-- KEYS: due, hooks, gone   ARGV: count, lease, life
local due, hooks, gone = unpack(KEYS)
local count, lease, life = unpack(ARGV)
local now, claimed = clock(), {}
if redis.call('EXISTS', gone) == 1 then
  redis.call('DEL', due, hooks)
  return {int(now), claimed}
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', int(now), 'LIMIT', 0, count)) do
  local event = redis.call('HGET', hooks, id)
  if event then
    -- Counted before it is sent: one that kills its sender ends as well.
    local attempt = redis.call('HINCRBY', hooks, 'n:' .. id, 1)
    redis.call('ZADD', due, int(now + lease), id)
    claimed[#claimed + 1] = {id, attempt, event}
  else
    redis.call('ZREM', due, id)
  end
end
if #claimed > 0 then
  redis.call('PEXPIRE', due, life)
  redis.call('PEXPIRE', hooks, life)
end
return {int(now), claimed}
