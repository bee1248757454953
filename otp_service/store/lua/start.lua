-- Start, or resend while one is pending. The record of the new one, or of the pending one, is named by the caller,
-- who learns the pending id from `moved`: no key is computed here.
-- KEYS: scope, new record, current record (the new one again for none), what its scope does not name of the client's
--       latest for this recipient, the keys of a send, then channels' recipient windows
-- ARGV: new id, current id, context, deliver, ttl, '1' where it has a session, the terms of a send, then the fields of a
--       new record
local k = send_keys(5)
k.scope, k.record, k.recent = KEYS[1], KEYS[2], KEYS[4]
-- The longest life that a purpose may have: policy.LONG_TTL_SECONDS.
local LONGEST = 1800000
local id, expected, context, deliver, ttl, in_session = unpack(ARGV, 1, 6)
local a = terms(7)
local now = clock()
local old = {record = KEYS[3], due = k.due, events = k.events}

-- What the sends count for elsewhere, so that an approval gives all of it back: what the latest named comes last.
local function count_for(k, named)
  local earlier = ''
  for one in string.gmatch(k.r[F.buckets] or '', '%S+') do
    if not string.find(' ' .. named .. ' ', ' ' .. one .. ' ', 1, true) then earlier = earlier .. one .. ' ' end
  end
  put(k, {F.buckets, earlier .. named})
end

-- A look-up finds the latest of each purpose by its scope; one of a session, whose scope only the session can name, and
-- one that another takes the place of, by this list.
local function list_for_lookups(k, listed, life)
  -- What was listed before may have a longer life.
  if redis.call('LPUSH', k.recent, listed) > 1 then life = LONGEST end
  redis.call('LTRIM', k.recent, 0, RECENT - 1)
  redis.call('PEXPIRE', k.recent, int(life + TOMBSTONE))
end

read(k)
local current = expected ~= '' and read(old)
local request = of_request(a.nonce)
local again = replay(k, a.nonce, OF_START) or current and replay(old, a.nonce, request)
if again then return again end

read_marks(k)
if k.latest ~= expected then return {'moved', k.latest} end

local status = current and status_of(old, expected, now)
local pending = status == 'pending'
k.anew = status == 'approved'
local reuse = false
if pending then
  reuse = (current[F.context] or '') == context and (current[F.deliver] or '1') == deliver
    and current[F.expires] - now >= MIN_LIFE_TO_RESEND
  if reuse and a.counter ~= '' and (current[F.counter] or 0) + 1 ~= tonumber(a.counter) then return {'moved', expected} end
end

if k.is_suppressed then return {'suppressed'} end
if is_disabled(k.in_a_row, a.disable_after) then return {'disabled', pending and snapshot('pending', now, current)} end
local limit, wait = refusal(k, now, a, reuse and current)
local guard = guard_look(k, now, a)
limit, wait = guard_refuses(guard, a, limit, wait)
if wait > 0 then
  return {'refused', limit, wait, pending and snapshot('pending', now, current) or false, guard_said(guard)}
end
if is_full(k, a.outbox_max) then return {'full'} end
if guard and guard.reason ~= '' and a.guard_mode == 'challenge' and a.excused ~= '1' then
  return {'suspicious', guard.wait, guard_said(guard)}
end

-- Everything is checked: from here on nothing may fail half-way.
local result = reuse and 'resent' or 'created'
if reuse then
  k.record = old.record
  read(k)
  for n = a.rest, #ARGV, 2 do
    if ARGV[n] == F.buckets then count_for(k, ARGV[n + 1]) end
  end
  send(k, now, expected, k.r[F.sends] + 1, a)
else
  if pending then
    finish(old, expected, now, 'canceled')
    write_down(old)
  end
  put(k, {F.status, 'pending', F.created, now, F.expires, now + ttl, F.context, context,
    F.deliver, deliver == '0' and deliver or '', F.lineage, FENCED and lineage() or '', unpack(ARGV, a.rest)})
  if in_session == '1' then
    list_for_lookups(k, id, tonumber(ttl))
  elseif status then
    list_for_lookups(k, expected, 0)
  end
  a.counter = ''
  send(k, now, id, 1, a)
end
guard_count(k, guard, a, k.r[F.expires])
local s = remember(k, result, now, reuse and request or OF_START)
write_down(k)
if not reuse then redis.call('PEXPIRE', k.record, ttl + TOMBSTONE) end
s[4] = guard_said(guard)
return s
