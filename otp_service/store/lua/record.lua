-- Record what a try came to; once, and by its holder, however late.
-- KEYS: record, tries, due   ARGV: id, index, fence, outcome, reason, detail, gateway_id, took_ms
local record, tries, due = unpack(KEYS)
local id, index, fence, outcome, reason, detail, gateway_id, took = unpack(ARGV)
local encoded = redis.call('LINDEX', tries, index)
local t = encoded and cjson.decode(encoded)
if not t or t.fence ~= fence or (t.outcome and not t.orphan) then return 0 end
t.outcome, t.reason, t.detail, t.gateway_id, t.took_ms, t.orphan = outcome, reason, detail, gateway_id, tonumber(took), nil
redis.call('LSET', tries, index, cjson.encode(t))

local now = clock()
if status_of(record, due, id, now) ~= 'pending' then return 1 end
local r = redis.call('HMGET', record, 'sends', 'delivery', 'counter', 'valid_from')
if tonumber(r[1]) ~= t.send then return 1 end
if outcome == 'accepted' then
  if r[2] == 'trying' then redis.call('HSET', record, 'delivery', 'accepted') end
  -- `rotate`: the old codes die when a gateway has accepted the new one.
  for counter = tonumber(r[4]), tonumber(r[3]) - 1 do redis.call('HDEL', record, 'd' .. int(counter)) end
  redis.call('HSET', record, 'valid_from', r[3])
elseif outcome ~= 'unknown' then
  redis.call('HINCRBY', record, 'maybe', -1)
end
return 1
