-- Shared by every script that works on a verification's record.

local MIN_LIFE_TO_RESEND = 60000
-- How far clocks of servers that take over from one another may differ before a record counts as from the future.
local CLOCK_SKEW = 1000
-- A partition's events are kept up to here when nobody takes them.
local EVENTS = 100000
-- What of a delivery's states is an event, and by which name.
local TOLD = {accepted = 'accepted', delivered = 'delivered', undelivered = 'undelivered', failed = 'failed',
  expired = 'failed'}

-- The record, read once into `k.r`: its fields by name, all of them text. What is 0 or empty has no field.
local function read(k)
  local fields, r = redis.call('HGETALL', k.record), {}
  for n = 1, #fields, 2 do r[fields[n]] = fields[n + 1] end
  k.r, k.kept, k.gone, k.ended = r, {}, {}, nil
  return r
end

-- Change fields of it: names and values by turns, '' for one that goes, and comes back in no step of the same script.
-- Redis has them once they are written down.
local function put(k, fields)
  local r, kept, gone = k.r, k.kept, k.gone
  for n = 1, #fields, 2 do
    local name, value = fields[n], fields[n + 1]
    if value ~= '' then
      r[name] = value
      kept[#kept + 1], kept[#kept + 2] = name, value
    elseif r[name] then
      r[name] = nil
      gone[#gone + 1] = name
    end
  end
end

-- Whoever changes the record writes it down before it is done: in one command what is kept, in one what goes. What is
-- kept comes first: a start must be refused with memory used up, which it is by its first write.
local function write_down(k)
  if #k.kept > 0 then redis.call('HSET', k.record, unpack(k.kept)) end
  if #k.gone > 0 then redis.call('HDEL', k.record, unpack(k.gone)) end
  if k.ended then k.ended() end
  k.kept, k.gone, k.ended = {}, {}, nil
end

-- The entry of the outbox that its open send waits in, nil for none. A record keeps how long after its beginning that was
-- written, which is less to keep than when.
local function entry_of(r)
  local after, nth = string.match(r[F.entry] or '', '^(%-?%d+)-(%d+)$')
  return after and int(r[F.created] + after) .. '-' .. nth
end

local function put_entry(k, entry)
  local at, nth = string.match(entry, '^(%d+)-(%d+)$')
  put(k, {F.entry, int(at - k.r[F.created]) .. '-' .. nth})
end

-- What changes comes first: a replay overlays it with what it was.
local function snapshot(result, now, r)
  return {result, now, {
    r[F.status], r[F.delivery], r[F.attempts] or '0', r[F.sends], r[F.resend], r[F.purpose], r[F.created], r[F.expires],
    r[F.code_length], r[F.max_attempts], r[F.promised], r[F.kid], r[F.mask], r[F.metadata] or false, r[F.test] or false,
    r[F.approved] or false, r[F.token] or false,
  }}
end

-- What windows know a send or a try by. Half of the random part of an id will do: two that met would count as one.
local function nth_of(id, n) return string.sub(id, 5, 12) .. ':' .. n end

-- An event for whoever subscribed; a record says by `listen` whether anybody did.
local function emit(k, id, now, kind, channel, reason)
  local r = k.r
  if not r[F.listen] then return end
  redis.call('XADD', k.events, 'MAXLEN', '~', EVENTS, '*', 'type', kind, 'id', id, 'client', r[F.client],
    'purpose', r[F.purpose], 'kid', r[F.kid], 'mask', r[F.mask], 'send', r[F.sends], 'at', now,
    'channel', channel or '', 'reason', reason or '')
end

-- Every change of `delivery` goes through here, so that each is told once.
local function deliver_state(k, id, now, delivery, channel, reason)
  put(k, {F.delivery, delivery})
  if TOLD[delivery] then emit(k, id, now, 'delivery.' .. TOLD[delivery], channel, reason) end
end

-- The end of a verification: what yields the code and the number goes; the rest is a tombstone.
local function finish(k, id, now, status)
  local delivery = k.r[F.delivery]
  if delivery == 'accepted' or (delivery == 'trying' and tonumber(k.r[F.maybe] or 0) > 0) then
    deliver_state(k, id, now, 'unconfirmed')
  elseif delivery == 'queued' or delivery == 'trying' then
    deliver_state(k, id, now, status == 'expired' and 'expired' or 'canceled', '', status)
  end
  put(k, {F.status, status})
  if status ~= 'canceled' then emit(k, id, now, 'verification.' .. status) end
  -- So does what only another send would need.
  put(k, {F.seed, '', F.to, '', F.binding, '', F.holder, '', F.turn, '', F.route, '', F.avoid, '', F.rid, '', F.asked, '',
    F.maybe, '', F.context, '', F.wait, '', F.entry, '', F.locale, '', F.guard, ''})
  for counter = 0, tonumber(k.r[F.counter] or 0) do put(k, {'d' .. counter, ''}) end
  k.ended = function()
    redis.call('PEXPIRE', k.record, TOMBSTONE)
    redis.call('ZREM', k.due, 'e:' .. id)
    -- A worker tells the channels that carried it: what was approved speaks for them.
    if status == 'approved' then redis.call('ZADD', k.due, now, 'a:' .. id) end
  end
end

-- The status now, nil for no record: a life that is over becomes `expired` when somebody looks. One that has not
-- begun is over too: the clock was set back, and must not lengthen a life by more than the life.
local function status_of(k, id, now)
  local r = k.r
  if r[F.status] == 'pending' and (now >= tonumber(r[F.expires]) or now + CLOCK_SKEW < tonumber(r[F.created])
      or FENCED and is_fenced_off(r)) then
    finish(k, id, now, 'expired')
    write_down(k)
  end
  return r[F.status]
end
