-- Shared by start and resend: the limits that stand before a send, and the send itself.

-- The keys that both are given, from the n-th on, in the order in which `_send_keys` names them.
local function send_keys(n)
  return {recipient = KEYS[n], outbox = KEYS[n + 1], later = KEYS[n + 2], due = KEYS[n + 3], events = KEYS[n + 4],
    suppressed = KEYS[n + 5], prefix = KEYS[n + 6], approved = KEYS[n + 7], devices = KEYS[n + 8],
    failed = KEYS[n + 9], guard = KEYS[n + 10], guarded = KEYS[n + 11], channels = n + 12}
end

-- The terms, from the n-th argument on, in the order in which `_terms` gives them; then the number of windows that
-- channels keep for this recipient, and these.
local function terms(n)
  local a = {nonce = ARGV[n], windows = ARGV[n + 1], prefix_windows = ARGV[n + 2], cooldowns = ARGV[n + 3],
    max_sends = tonumber(ARGV[n + 4]), outbox_max = tonumber(ARGV[n + 5]), disable_after = ARGV[n + 6],
    queue = ARGV[n + 7], channel = ARGV[n + 8], avoid = ARGV[n + 9], device = ARGV[n + 10],
    prior_limit = ARGV[n + 11], prior_wait = tonumber(ARGV[n + 12]), counter = ARGV[n + 13], digest = ARGV[n + 14],
    route = ARGV[n + 15], rid = ARGV[n + 16], wait = ARGV[n + 17], guard = ARGV[n + 18], guard_mode = ARGV[n + 19],
    excused = ARGV[n + 20], region = ARGV[n + 21], held = ARGV[n + 22], held_until = ARGV[n + 23],
    guard_kid = ARGV[n + 24], guard_mask = ARGV[n + 25], guard_name = ARGV[n + 26]}
  a.rest = n + 28 + ARGV[n + 27]
  a.kept = {unpack(ARGV, n + 28, a.rest - 1)}
  return a
end

-- What stands before any send, in one command: the scope, whether the recipient wants nothing, how many wrong codes it
-- had in a row, and whether it was approved here.
local function read_marks(k)
  local marks = redis.call('MGET', k.scope, k.suppressed, k.failed, k.approved)
  k.cooled_at, k.nth, k.latest = scope_of(marks[1])
  k.is_suppressed, k.in_a_row, k.is_approved = marks[2], marks[3], marks[4]
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
  return redis.call('ZCOUNT', k.devices, now - KNOWN + 1, '+inf') > 0 and KEPT_FOR_DEVICES or 0
end

-- The limit with the longest wait, and that wait; 0 when all have room. `pending` is the record that would be sent
-- again, or false for a new one.
local function refusal(k, now, a, pending)
  -- A recipient that was approved here is nobody's invention, and passes its prefix uncounted.
  if k.is_approved then a.prefix_windows = '' end
  local limit, wait = '', 0
  local function longer(another, its)
    if its > wait then limit, wait = another, its end
  end
  longer('cooldown', k.cooled_at - now)
  longer('recipient', wait_for(k.recipient, now, a.windows, kept_for_devices(k, now, a)))
  longer('recipient', channels_wait(now, a, k.channels))
  longer('prefix', wait_for(k.prefix, now, a.prefix_windows))
  longer(a.prior_limit, a.prior_wait)
  if pending and tonumber(pending[F.sends]) >= a.max_sends then
    longer('sends', pending[F.expires] - MIN_LIFE_TO_RESEND - now + 1)
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
  put(k, {F.delivery, delivery, F.sends, sends, F.resend, now + cool, F.maybe, '', F.channel, a.channel,
    F.avoid, a.avoid, F.route, a.route, F.rid, a.rid, F.asked, sends == 1 and '' or now,
    F.wait, a.wait == '1' and sends or ''})
  redis.call('SET', k.scope, table.concat({now + cool, nth, id}, ' '), 'PX',
    math.max(k.r[F.expires] - now + TOMBSTONE, cool))
  local sent = nth_of(id, sends)
  count_in(k.recipient, now, a.windows, sent)
  count_in(k.prefix, now, a.prefix_windows, sent)
  -- A worker ends what it may deliver; a test number's end is seen by whoever looks.
  if a.queue == '1' then
    -- What the send before this one still waited for is dropped with it.
    if sends > 1 then redis.call('ZREM', k.later, (sends - 1) .. ':' .. id) end
    queue(k, id, sends, now)
  end
end
