-- Shared by every script. Time is Redis's; a moment and a span are milliseconds.
-- How long an ended verification and the tries are remembered, unless `[retention]` says otherwise: see scripts.py.
local TOMBSTONE = 7200000
local TRIES = 259200000
-- How long an Idempotency-Key is.
local CLAIM = 7200000
local MIN_LIFE_TO_RESEND = 60000
-- How far clocks of servers that take over from one another may differ before a record counts as from the future.
local CLOCK_SKEW = 1000
-- How many verifications of one client and recipient a look-up shows.
local RECENT = 20
-- A partition's events are kept up to here when nobody takes them.
local EVENTS = 100000
-- What of a delivery's states is an event, and by which name.
local TOLD = {accepted = 'accepted', delivered = 'delivered', undelivered = 'undelivered', failed = 'failed',
  expired = 'failed'}

-- Whether a record counts only in the line of servers that it was made in: fence.lua says so.
local FENCED = false

local function int(n) return string.format('%.0f', n) end

local function clock()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- Those that change come first: a replay overlays them with what they were.
local FIELDS = {
  F.status, F.delivery, F.attempts, F.sends, F.resend, F.purpose, F.created, F.expires, F.code_length, F.max_attempts,
  F.max_sends, F.kid, F.mask, F.metadata, F.test, F.token_ttl, F.approved, F.token, F.bound_to,
}

-- What a worker needs to know of a channel.
local STANDING = {'open', 'probe_until', 'rest', 'paused', 'at', 'n', 'ok', 'lat', 'rn', 'rok', 'cn', 'cok',
  'heard'}

-- With its memory used up, Redis refuses the first write of a script that could need more, and lets go on whatever has
-- written before. This writes nothing. What proves, carries or ends a verification goes on; what starts one does not.
local function go_on_without_memory(hash) redis.call('HDEL', hash, '') end

local function snapshot(result, now, record)
  local fields = redis.call('HMGET', record, unpack(FIELDS))
  fields[3] = fields[3] or '0'
  return {result, int(now), fields}
end

-- An event for whoever subscribed; a record says by `listen` whether anybody did.
local function emit(k, id, now, kind, channel, reason)
  local r = redis.call('HMGET', k.record, F.listen, F.client, F.purpose, F.kid, F.mask, F.sends)
  if not r[1] then return end
  redis.call('XADD', k.events, 'MAXLEN', '~', EVENTS, '*', 'type', kind, 'id', id, 'client', r[2], 'purpose', r[3],
    'kid', r[4], 'mask', r[5], 'send', r[6], 'at', int(now), 'channel', channel or '', 'reason', reason or '')
end

-- Every change of `delivery` goes through here, so that each is told once.
local function deliver_state(k, id, now, delivery, channel, reason)
  redis.call('HSET', k.record, F.delivery, delivery)
  if TOLD[delivery] then emit(k, id, now, 'delivery.' .. TOLD[delivery], channel, reason) end
end

-- The end of a verification: what yields the code and the number goes; the rest is a tombstone.
local function finish(k, id, now, status)
  local r = redis.call('HMGET', k.record, F.delivery, F.maybe)
  local delivery = r[1]
  if delivery == 'accepted' or (delivery == 'trying' and tonumber(r[2] or 0) > 0) then
    deliver_state(k, id, now, 'unconfirmed')
  elseif delivery == 'queued' or delivery == 'trying' then
    deliver_state(k, id, now, status == 'expired' and 'expired' or 'canceled', '', status)
  end
  redis.call('HSET', k.record, F.status, status)
  if status ~= 'canceled' then emit(k, id, now, 'verification.' .. status) end
  redis.call('HDEL', k.record, F.seed, F.to, F.binding, 'd0', 'd1', 'd2', 'd3', 'd4', 'd5', 'd6', 'd7', 'd8', 'd9')
  redis.call('PEXPIRE', k.record, TOMBSTONE)
  redis.call('ZREM', k.due, 'e:' .. id)
  -- A worker tells the channels that carried it: what was approved speaks for them.
  if status == 'approved' then redis.call('ZADD', k.due, int(now), 'a:' .. id) end
end

-- The status now, false for no record: a life that is over becomes `expired` when somebody looks. One that has not
-- begun is over too: the clock was set back, and must not lengthen a life by more than the life.
local function status_of(k, id, now)
  local r = redis.call('HMGET', k.record, F.status, F.expires, F.created)
  if r[1] == 'pending' and (now >= tonumber(r[2]) or now + CLOCK_SKEW < tonumber(r[3])
      or FENCED and is_fenced_off(k.record)) then
    finish(k, id, now, 'expired')
    return 'expired'
  end
  return r[1]
end
