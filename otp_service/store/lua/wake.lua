-- What was due: a verification's end, or a delivery's next round.
-- KEYS: record, outbox, due   ARGV: member, id, send ('' for an end)
local record, outbox, due = unpack(KEYS)
local member, id, send = unpack(ARGV)
if redis.call('ZREM', due, member) == 0 then return 0 end
local now = clock()
local status = status_of(record, due, id, now)
if status == 'pending' then
  if send == '' then
    -- Our clock has stepped back since the caller looked.
    redis.call('ZADD', due, redis.call('HGET', record, 'expires'), member)
  elseif redis.call('HGET', record, 'sends') == send then
    redis.call('HDEL', record, 'holder')
    redis.call('XADD', outbox, '*', 'id', id, 'send', send, 'at', int(now))
  end
end
return 1
