-- Begin a try: "trying" is written before a byte leaves, by exactly one holder.
-- KEYS: record, tries, due
-- ARGV: id, send, fence, reclaimed ('1'), channels in their order ("a b"), on_unknown
local record, tries, due = unpack(KEYS)
local id, send, fence, reclaimed, channels, on_unknown = unpack(ARGV)
local now = clock()

if status_of(record, due, id, now) ~= 'pending' then return {'over'} end
local r = redis.call('HMGET', record, 'sends', 'delivery', 'deliver', 'holder', 'channel', 'avoid')
if r[1] ~= send or (r[2] ~= 'queued' and r[2] ~= 'trying') then return {'over'} end
local mine = send .. ':' .. fence
if r[4] ~= mine then
  -- A worker that was thought dead may finish the try it began, and begins no other.
  if r[4] and string.find(r[4], send .. ':', 1, true) == 1 and reclaimed ~= '1' then return {'lost'} end
  redis.call('HSET', record, 'holder', mine)
end

if r[3] == '0' then
  -- Nobody is sent anything, but who looks on must not tell: the caller plays a send.
  redis.call('HSET', record, 'delivery', 'trying', 'maybe', 1)
  return {'pretend'}
end

local closed, may_have, retryable = {}, false, false
for index, encoded in ipairs(redis.call('LRANGE', tries, 0, -1)) do
  local t = cjson.decode(encoded)
  if t.send == tonumber(send) then
    if not t.outcome and t.fence ~= fence then
      t.outcome, t.reason, t.detail, t.orphan = 'unknown', 'timeout', 'the worker stopped before the answer', true
      redis.call('LSET', tries, index - 1, cjson.encode(t))
    end
    if t.outcome == 'rejected' and t.reason == 'number' then return {'stop'} end
    if t.outcome ~= 'retryable' then closed[t.channel] = true end
    may_have = may_have or not t.outcome or t.outcome == 'unknown'
    retryable = retryable or t.outcome == 'retryable'
  end
end

local chosen
for channel in string.gmatch(channels, '%S+') do
  local allowed = not closed[channel] and (r[5] == '' or r[5] == channel)
  if allowed and (not chosen or chosen == r[6]) then chosen = channel end
end
if not chosen or (may_have and on_unknown == 'hold') then
  local left = redis.call('HGET', record, 'expires') - now
  return {'none', may_have and '1' or '0', retryable and '1' or '0', int(left)}
end

local f = redis.call('HMGET', record, 'to', 'kid', 'seed', 'counter', 'purpose', 'locale', 'expires', 'code_length')
redis.call('HSET', record, 'delivery', 'trying', 'valid_to', f[4])
redis.call('HINCRBY', record, 'maybe', 1)
local index = redis.call('RPUSH', tries, cjson.encode({send = tonumber(send), channel = chosen, at = int(now), fence = fence}))
redis.call('PEXPIRE', tries, TRIES)
return {'try', index - 1, chosen, int(now), f}
