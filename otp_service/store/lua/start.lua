-- Start, or resend while one is pending. The record of the new one, or of the pending one, is named by the caller,
-- who learns the pending id from `moved`: no key is computed here.
-- KEYS: scope, new record, current record (the new one again for none), the client's latest for this recipient, the
--       keys of a send, then channels' recipient windows
-- ARGV: new id, current id, context, deliver, ttl, the terms of a send, then the fields of a new record
local k = send_keys(5)
k.scope, k.record, k.recent = KEYS[1], KEYS[2], KEYS[4]
local new, current = KEYS[2], KEYS[3]
local id, expected, context, deliver, ttl = unpack(ARGV, 1, 5)
local a = terms(6)
local now = clock()
local old = {record = current, due = k.due, events = k.events}

local again = replay(new, a.nonce) or replay(current, a.nonce)
if again then return again end

local latest = redis.call('HGET', k.scope, 'id') or ''
if latest ~= expected then return {'moved', latest} end

local status = expected ~= '' and status_of(old, expected, now)
local pending = status == 'pending'
k.anew = status == 'approved'
local reuse = false
if pending then
  local r = redis.call('HMGET', current, F.context, F.deliver, F.expires, F.counter)
  reuse = (r[1] or '') == context and (r[2] or '1') == deliver and r[3] - now >= MIN_LIFE_TO_RESEND
  if reuse and a.counter ~= '' and (r[4] or 0) + 1 ~= tonumber(a.counter) then return {'moved', expected} end
end

if redis.call('EXISTS', k.suppressed) == 1 then return {'suppressed'} end
if is_disabled(k.failed, a.disable_after) then return {'disabled', pending and snapshot('pending', now, current)} end
local limit, wait = refusal(k, now, a, reuse and current)
local guard = guard_look(k, now, a)
limit, wait = guard_refuses(guard, a, limit, wait)
if wait > 0 then
  return {'refused', limit, int(wait), pending and snapshot('pending', now, current) or false, guard_said(guard)}
end
if redis.call('ZCARD', k.later) >= a.outbox_max then return {'full'} end
if guard and guard.reason ~= '' and a.guard_mode == 'challenge' and a.excused ~= '1' then
  return {'suspicious', int(guard.wait), guard_said(guard)}
end

-- Everything is checked: from here on nothing may fail half-way.
if reuse then
  k.record = current
  send(k, now, expected, redis.call('HGET', current, F.sends) + 1, a)
  guard_count(k, guard, a, redis.call('HGET', current, F.expires))
  local s = remember('resent', now, current, a.nonce)
  s[4] = guard_said(guard)
  return s
end
if pending then finish(old, expected, now, 'canceled') end
write(new, {F.status, 'pending', F.created, int(now), F.expires, int(now + ttl), F.context, context,
  F.deliver, deliver == '0' and deliver or '', unpack(ARGV, a.rest)}, true)
if FENCED then redis.call('HSET', new, F.lineage, lineage()) end
redis.call('PEXPIRE', new, int(ttl + TOMBSTONE))
-- A worker ends what it may deliver; a test number's end is seen by whoever looks.
if a.queue == '1' then redis.call('ZADD', k.due, int(now + ttl), 'e:' .. id) end
redis.call('LPUSH', k.recent, id)
redis.call('LTRIM', k.recent, 0, RECENT - 1)
redis.call('PEXPIRE', k.recent, int(ttl + TOMBSTONE))
a.counter = ''
send(k, now, id, 1, a)
guard_count(k, guard, a, now + ttl)
local s = remember('created', now, new, a.nonce)
s[4] = guard_said(guard)
return s
