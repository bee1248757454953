-- Shared by start and resend: the limits that stand before a send, and the send itself.

-- The keys that both are given, from the n-th on, in the order in which `_send_keys` names them.
local function send_keys(n)
  local k = {channels = n + 12}
  for i, name in ipairs({'recipient', 'outbox', 'later', 'due', 'events', 'suppressed', 'prefix', 'approved', 'devices',
    'failed', 'guard', 'guarded'}) do k[name] = KEYS[n + i - 1] end
  return k
end

-- The terms, from the n-th argument on, in the order in which `_terms` gives them; then the number of windows that
-- channels keep for this recipient, and these.
local TERMS = {'nonce', 'windows', 'prefix_windows', 'cooldowns', 'max_sends', 'outbox_max', 'disable_after', 'queue',
  'channel', 'avoid', 'device', 'prior_limit', 'prior_wait', 'counter', 'digest', 'route', 'rid', 'wait', 'guard',
  'guard_mode', 'excused', 'region', 'held', 'held_until', 'guard_kid', 'guard_mask', 'guard_name', 'kept'}
local function terms(n)
  local a = {}
  for i, name in ipairs(TERMS) do a[name] = ARGV[n + i - 1] end
  n = n + #TERMS
  a.rest = n + a.kept
  a.kept = {unpack(ARGV, n, a.rest - 1)}
  a.max_sends, a.outbox_max = tonumber(a.max_sends), tonumber(a.outbox_max)
  return a
end

-- What stands before any send, each in one command: the scope's latest id, cooldown and number of sends; whether the
-- recipient wants nothing, how many wrong codes it had in a row, and whether it was approved here.
local function read_scope(k)
  local scope = redis.call('HMGET', k.scope, 'id', 'u', 'n')
  k.latest, k.cooled_at, k.nth = scope[1] or '', tonumber(scope[2] or 0), tonumber(scope[3] or 0)
end

local function read_marks(k)
  local marks = redis.call('MGET', k.suppressed, k.failed, k.approved)
  k.is_suppressed, k.in_a_row, k.is_approved = marks[1], marks[2], marks[3]
end

-- Every channel that could carry it has a limit of its own for this recipient, and all are full: the shortest wait.
local function channels_wait(now, a, first)
  local shortest
  for n, windows in ipairs(a.kept) do
    local wait = wait_for(KEYS[first + n - 1], now, windows)
    if not shortest or wait < shortest then shortest = wait end
  end
  return shortest or 0
end

-- The last sends to a recipient that has devices are theirs, so that no stranger can use them up.
local KEPT_FOR_DEVICES = 2
local function kept_for_devices(k, now, a)
  -- Every approval that knows a device marks its recipient for as long.
  if not k.is_approved or is_known(k.devices, a.device, now) then return 0 end
  return redis.call('ZCOUNT', k.devices, int(now - KNOWN + 1), '+inf') > 0 and KEPT_FOR_DEVICES or 0
end

-- The limit with the longest wait, and that wait; 0 when all have room. `pending` is the record that would be sent
-- again, or false for a new one.
local function refusal(k, now, a, pending)
  -- A recipient that was approved here is nobody's invention, and passes its prefix uncounted.
  if k.is_approved then a.prefix_windows = '' end
  local recipient = wait_for(k.recipient, now, a.windows, kept_for_devices(k, now, a))
  local refusals = {
    {'cooldown', k.cooled_at - now},
    {'recipient', math.max(recipient, channels_wait(now, a, k.channels))},
    {'prefix', wait_for(k.prefix, now, a.prefix_windows)},
    {a.prior_limit, tonumber(a.prior_wait)},
  }
  if pending and tonumber(pending[F.sends]) >= a.max_sends then
    refusals[#refusals + 1] = {'sends', pending[F.expires] - MIN_LIFE_TO_RESEND - now + 1}
  end
  local limit, wait = '', 0
  for _, full in ipairs(refusals) do
    if full[2] > wait then limit, wait = full[1], full[2] end
  end
  return limit, wait
end

-- `cooldowns` is "60000 60000 120000": the wait after each send; the last repeats.
local function cooldown_after(cooldowns, sends)
  local wait, n = 0, 0
  for span in string.gmatch(cooldowns, '%d+') do
    n = n + 1
    if n <= sends then wait = tonumber(span) end
  end
  return wait
end

-- Count the send, start its cooldown and queue it. The scope outlives the record's tombstone only by its cooldown.
local function send(k, now, id, sends, a)
  if a.counter ~= '' then put(k, {F.counter, a.counter, 'd' .. a.counter, a.digest}) end
  -- The sequence belongs to the scope as the cooldown does: neither cancel nor expiry begins it anew, an approval does.
  local nth = k.anew and 1 or k.nth + 1
  local cool = cooldown_after(a.cooldowns, nth)
  -- Nothing is ever queued for a test number: its sends are over as they begin.
  local delivery = a.queue == '1' and 'queued' or 'delivered'
  put(k, {F.delivery, delivery, F.sends, int(sends), F.resend, int(now + cool), F.maybe, '', F.channel, a.channel,
    F.avoid, a.avoid, F.route, a.route, F.rid, a.rid, F.asked, sends == 1 and '' or int(now),
    F.wait, a.wait == '1' and int(sends) or ''})
  redis.call('HSET', k.scope, 'id', id, 'u', int(now + cool), 'n', nth)
  redis.call('PEXPIRE', k.scope, int(math.max(k.r[F.expires] - now + TOMBSTONE, cool)))
  count_in(k.recipient, now, a.windows, a.nonce)
  count_in(k.prefix, now, a.prefix_windows, a.nonce)
  if a.queue == '1' then
    -- What the send before this one still waited for is dropped with it.
    if sends > 1 then redis.call('ZREM', k.later, int(sends - 1) .. ':' .. id) end
    queue(k, id, int(sends), now)
  end
end
