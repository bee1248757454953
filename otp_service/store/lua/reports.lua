-- Shared by what brings a send forward: record, settle, report.

-- A start or resend may wait for the first outcome of its send.
local function tell_waiting(k, key, send)
  if k.r[F.wait] ~= send then return end
  put(k, {F.wait, ''})
  redis.call('RPUSH', key, '1')
  redis.call('PEXPIRE', key, 10000)
end

-- Nothing of this send is accepted, or may have been, but what a report calls undelivered.
local function all_undelivered(tries, send)
  local any = false
  for _, t in each_try(tries) do
    if t.send == send and (not t.outcome or t.outcome == 'accepted' or t.outcome == 'unknown') then
      if t.report ~= 'undelivered' then return false end
      any = true
    end
  end
  return any
end

-- A channel that this send may use and has not.
local function another_channel(k, send)
  local tried = {}
  for _, t in each_try(k.tries) do
    if t.send == send then tried[t.channel] = true end
  end
  for name in string.gmatch(k.r[F.route] or '', '%S+') do
    if not tried[name] then return true end
  end
  return false
end

-- Whether somebody has the latest send in hand, or will: until it is settled it stands among the open ones.
local function is_worked_on(k, id) return redis.call('ZSCORE', k.later, k.r[F.sends] .. ':' .. id) end

-- Bring the latest send to the end that its reports say, if they say one. True when one more channel is to be tried:
-- once a send, while the code lives long enough to be of use. `delivery` stays as it is meanwhile: no state goes back.
local function judge_reports(k, id, now, t)
  local r = k.r
  local delivery = r[F.delivery]
  if tonumber(r[F.sends]) ~= t.send or (delivery ~= 'trying' and delivery ~= 'accepted') then return false end
  if t.report == 'delivered' then
    deliver_state(k, id, now, 'delivered', t.channel)
  elseif (delivery == 'accepted' or not is_worked_on(k, id)) and all_undelivered(k.tries, t.send) then
    if r[F.extra] ~= r[F.sends] and r[F.expires] - now >= MIN_LIFE_TO_RESEND and another_channel(k, t.send) then
      put(k, {F.extra, r[F.sends], F.holder, ''})
      return true
    end
    deliver_state(k, id, now, 'undelivered', t.channel)
  end
  return false
end
