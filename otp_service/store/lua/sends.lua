-- Shared by start and resend: the limits that stand before a send, and the send itself.
local function longest(refusals)
  local limit, wait = '', 0
  for _, refusal in ipairs(refusals) do
    if refusal[2] > wait then limit, wait = refusal[1], refusal[2] end
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
  local cool = cooldown_after(a.cooldowns, sends)
  -- Nothing is ever queued for a test number: its sends are over as they begin.
  local delivery = a.queue == '1' and 'queued' or 'delivered'
  redis.call('HSET', k.record, 'delivery', delivery, 'sends', sends, 'resend', int(now + cool), 'maybe', 0,
    'channel', a.channel, 'avoid', a.avoid)
  redis.call('HSET', k.scope, 'id', id, 'until', int(now + cool))
  local life = redis.call('PTTL', k.record)
  redis.call('PEXPIRE', k.scope, int(math.max(life, cool)))
  count_in(k.recipient, now, a.windows, a.nonce)
  if a.queue == '1' then
    redis.call('XADD', k.outbox, '*', 'id', id, 'send', sends)
  end
end
