-- Shared by every script. Time is Redis's; a moment and a span are milliseconds.
local TOMBSTONE = 7200000
local TRIES = 259200000
local MIN_LIFE_TO_RESEND = 60000
-- How far clocks of servers that take over from one another may differ before a record counts as from the future.
local CLOCK_SKEW = 1000

local function int(n) return string.format('%.0f', n) end

local function clock()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- Those that change come first: a replay overlays them with what they were.
local FIELDS = {
  'status', 'delivery', 'attempts', 'sends', 'resend', 'purpose', 'created', 'expires', 'code_length', 'max_attempts',
  'max_sends', 'kid', 'mask', 'metadata', 'test', 'token_ttl', 'approved', 'token', 'bound_to',
}
local CHANGING = 5

local function snapshot(result, now, record)
  return {result, int(now), redis.call('HMGET', record, unpack(FIELDS))}
end

-- A request is known by its nonce, so that one whose reply was lost can be asked again and counts once.
local function remember(result, now, record, nonce)
  local s = snapshot(result, now, record)
  redis.call('HSET', record, 'r:' .. nonce, result .. ' ' .. s[2] .. ' ' .. table.concat(s[3], ' ', 1, CHANGING))
  return s
end

local function replay(record, nonce)
  local kept = redis.call('HGET', record, 'r:' .. nonce)
  if not kept then return nil end
  local words = {}
  for word in string.gmatch(kept, '%S+') do words[#words + 1] = word end
  local s = snapshot(words[1], 0, record)
  s[2] = words[2]
  for i = 1, CHANGING do s[3][i] = words[i + 2] end
  return s
end

-- Milliseconds until a rolling window has room again; 0 when it has room. `windows` is "5/3600000 10/86400000".
local function wait_for(key, now, windows)
  local wait = 0
  for count, span in string.gmatch(windows, '(%d+)/(%d+)') do
    local nth = redis.call('ZREVRANGE', key, count - 1, count - 1, 'WITHSCORES')
    if nth[2] then wait = math.max(wait, nth[2] + span - now) end
  end
  return wait
end

local function count_in(key, now, windows, member)
  local longest = 0
  for span in string.gmatch(windows, '/(%d+)') do longest = math.max(longest, tonumber(span)) end
  if longest == 0 then return end
  redis.call('ZREMRANGEBYSCORE', key, '-inf', int(now - longest))
  redis.call('ZADD', key, int(now), member)
  redis.call('PEXPIRE', key, int(longest))
end

-- The end of a verification: what yields the code and the number goes; the rest is a tombstone.
local function finish(record, due, id, now, status)
  local r = redis.call('HMGET', record, 'delivery', 'maybe')
  local delivery = r[1]
  if delivery == 'accepted' or (delivery == 'trying' and tonumber(r[2]) > 0) then
    delivery = 'unconfirmed'
  elseif delivery == 'queued' or delivery == 'trying' then
    delivery = status == 'expired' and 'expired' or 'canceled'
  end
  redis.call('HSET', record, 'status', status, 'delivery', delivery)
  redis.call('HDEL', record, 'seed', 'to', 'binding', 'd0', 'd1', 'd2', 'd3', 'd4', 'd5', 'd6', 'd7', 'd8', 'd9')
  redis.call('PEXPIRE', record, TOMBSTONE)
  redis.call('ZREM', due, 'e:' .. id)
end

-- The status now, false for no record: a life that is over becomes `expired` when somebody looks. One that has not
-- begun is over too: the clock was set back, and must not lengthen a life by more than the life.
local function status_of(record, due, id, now)
  local r = redis.call('HMGET', record, 'status', 'expires', 'created')
  if r[1] == 'pending' and (now >= tonumber(r[2]) or now + CLOCK_SKEW < tonumber(r[3])) then
    finish(record, due, id, now, 'expired')
    return 'expired'
  end
  return r[1]
end
