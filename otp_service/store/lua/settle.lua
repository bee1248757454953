-- The work on an outbox entry is over: accepted, done (nothing more to do), failed, or due again later.
-- KEYS: record, outbox, due   ARGV: id, send, fence, entry, group, verdict, delay
local record, outbox, due = unpack(KEYS)
local id, send, fence, entry, group, verdict, delay = unpack(ARGV)
local now = clock()
local status = status_of(record, due, id, now)
local r = redis.call('HMGET', record, 'sends', 'delivery', 'maybe', 'holder', 'deliver')
local open = status == 'pending' and r[1] == send and (r[2] == 'queued' or r[2] == 'trying')
if open then
  -- A worker that was thought dead leaves the entry to the one that took it over.
  if r[4] and r[4] ~= send .. ':' .. fence and string.find(r[4], send .. ':', 1, true) == 1 then return 0 end
  if verdict == 'accepted' then redis.call('HSET', record, 'delivery', 'accepted') end
  if verdict == 'failed' and (tonumber(r[3]) <= 0 or r[5] == '0') then redis.call('HSET', record, 'delivery', 'failed') end
  if verdict == 'later' then redis.call('ZADD', due, int(now + delay), 'd:' .. send .. ':' .. id) end
end
redis.call('XACK', outbox, group, entry)
redis.call('XDEL', outbox, entry)
return 1
