-- Start, or resend while one is pending. The record of the new one, or of the pending one, is named by the caller,
-- who learns the pending id from `moved`: no key is computed here.
-- KEYS: scope, new record, current record (the new one again for none), recipient window, outbox, due
-- ARGV: new id, current id, context, deliver, ttl, the terms of a send, then the fields of a new record
local k = {scope = KEYS[1], record = KEYS[2], recipient = KEYS[4], outbox = KEYS[5]}
local new, current, due = KEYS[2], KEYS[3], KEYS[6]
local id, expected, context, deliver, ttl = unpack(ARGV, 1, 5)
local a = terms(6)
local now = clock()

local again = replay(new, a.nonce) or replay(current, a.nonce)
if again then return again end

local latest = redis.call('HGET', k.scope, 'id') or ''
if latest ~= expected then return {'moved', latest} end

local status = expected ~= '' and status_of(current, due, expected, now)
local pending = status == 'pending'
k.anew = status == 'approved'
local reuse = false
if pending then
  local r = redis.call('HMGET', current, 'context', 'deliver', 'expires', 'counter')
  reuse = r[1] == context and r[2] == deliver and r[3] - now >= MIN_LIFE_TO_RESEND
  if reuse and a.counter ~= '' and r[4] + 1 ~= tonumber(a.counter) then return {'moved', expected} end
end

local limit, wait = refusal(k, now, a, reuse and current)
if wait > 0 then return {'refused', limit, int(wait), pending and snapshot('pending', now, current) or false} end
if redis.call('XLEN', k.outbox) >= a.outbox_max then return {'full'} end

-- Everything is checked: from here on nothing may fail half-way.
if reuse then
  k.record = current
  send(k, now, expected, redis.call('HGET', current, 'sends') + 1, a)
  return remember('resent', now, current, a.nonce)
end
if pending then finish(current, due, expected, now, 'canceled') end
redis.call('HSET', new, 'status', 'pending', 'attempts', 0, 'counter', 0, 'valid_from', 0, 'valid_to', 0,
  'created', int(now), 'expires', int(now + ttl), 'context', context, 'deliver', deliver, unpack(ARGV, 18))
redis.call('PEXPIRE', new, int(ttl + TOMBSTONE))
-- A worker ends what it may deliver; a test number's end is seen by whoever looks.
if a.queue == '1' then redis.call('ZADD', due, int(now + ttl), 'e:' .. id) end
a.counter = ''
send(k, now, id, 1, a)
return remember('created', now, new, a.nonce)
