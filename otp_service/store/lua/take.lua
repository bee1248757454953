-- Begin a try: "trying" is written before a byte leaves, by exactly one holder.
-- KEYS: record, tries, due, events, then the recipient's window at each channel
-- ARGV: id, send, fence, turn (how often the entry was handed out), on_unknown, entry, then for each channel in the
--       order to try: its name, its windows ("5/3600000"), '1' where these refuse and '0' where they only order
local k = {record = KEYS[1], tries = KEYS[2], due = KEYS[3], events = KEYS[4]}
local id, send, fence, turn, on_unknown, entry = unpack(ARGV, 1, 6)
local now = clock()
go_on_without_memory(k.record)

-- Whoever is handed the entry by another's death says what became of the try that the other had begun. A worker that
-- was only thought dead may still say what it came to.
local function tries_of_send()
  local found = {}
  for index, t in each_try(k.tries) do
    if t.send == tonumber(send) then
      if not t.outcome and t.fence ~= fence then
        t.outcome, t.reason, t.detail, t.orphan = 'unknown', 'timeout', 'the worker stopped before the answer', true
        redis.call('LSET', k.tries, index - 1, encoded(t))
      end
      found[#found + 1] = t
    end
  end
  return found
end

local r = read(k)
if status_of(k, id, now) ~= 'pending' then
  tries_of_send()
  return {'over'}
end
local delivery = r[F.delivery]
local open = delivery == 'queued' or delivery == 'trying' or (delivery == 'accepted' and r[F.extra] == send)
if r[F.sends] ~= send then tries_of_send() end
-- An entry that was written anew is its new reader's.
if r[F.sends] ~= send or not open or entry_of(r) ~= entry then return {'over'} end
local mine = send .. ':' .. fence
if r[F.holder] ~= mine then
  -- A worker that was thought dead may finish the try it began, and begins no other: not even one that had itself
  -- taken over, and wakes to find that somebody has a later turn.
  local held = r[F.holder] and string.find(r[F.holder], send .. ':', 1, true) == 1
  if held and tonumber(turn) <= tonumber(r[F.turn] or 1) then return {'lost'} end
  put(k, {F.holder, mine, F.turn, turn})
  write_down(k)
end

if r[F.deliver] == '0' then
  -- Nobody is sent anything, but who looks on must not tell: the caller plays a send, by the channel that would have it.
  local channel, full = '', ''
  for n = 1, (#ARGV - 6) / 3 do
    local name, windows, strict = unpack(ARGV, 4 + 3 * n, 6 + 3 * n)
    if wait_for(KEYS[4 + n], now, windows) == 0 then channel = name break end
    if strict ~= '1' and full == '' then full = name end
  end
  put(k, {F.delivery, 'trying', F.maybe, '1'})
  write_down(k)
  return {'pretend', channel ~= '' and channel or full, int(r[F.expires] - now)}
end

local closed, last, may_have, retryable = {}, {}, false, false
for _, t in ipairs(tries_of_send()) do
  if t.outcome == 'rejected' and t.reason == 'number' then return {'stop'} end
  if t.outcome ~= 'retryable' then closed[t.channel] = true end
  may_have = may_have or (not t.outcome or t.outcome == 'unknown') and t.report ~= 'undelivered'
  retryable = retryable or t.outcome == 'retryable'
  last[t.channel] = t
end

-- Room at a channel: one that is full for this number by our guess of its rules is asked after the others; one that is
-- full by the operator's word is not asked, and its try says so.
local function note_full(channel, wait)
  local said = last[channel]
  if said and said.not_asked then return end
  redis.call('RPUSH', k.tries, encoded({send = tonumber(send), channel = channel, at = int(now), fence = fence,
    outcome = 'retryable', reason = 'rate', not_asked = true,
    detail = 'not asked: its recipient_limits are full for ' .. int(math.ceil(wait / 1000)) .. ' s'}))
  redis.call('PEXPIRE', k.tries, TRIES)
end

local hold = may_have and on_unknown == 'hold'
local chosen, full
local free = {}
for n = 1, hold and 0 or (#ARGV - 6) / 3 do
  local channel, windows, strict = unpack(ARGV, 4 + 3 * n, 6 + 3 * n)
  if not closed[channel] then
    local wait = wait_for(KEYS[4 + n], now, windows)
    if wait == 0 then chosen = n break end
    if strict == '1' then
      note_full(channel, wait)
      retryable = true
      free[#free + 1] = channel
      free[#free + 1] = int(wait)
    else
      full = full or n
    end
  end
end
chosen = chosen or full
if not chosen then
  local names = {}
  for channel in pairs(closed) do names[#names + 1] = channel end
  return {'none', may_have and '1' or '0', retryable and '1' or '0', int(r[F.expires] - now), names, free}
end

local channel, windows = unpack(ARGV, 4 + 3 * chosen, 5 + 3 * chosen)
local f = {}
for n, name in ipairs({F.to, F.kid, F.seed, F.counter, F.purpose, F.locale, F.expires, F.code_length, F.client}) do
  f[n] = r[name] or false
end
put(k, {F.valid_to, r[F.counter] or '', F.delivery, delivery == 'queued' and 'trying' or delivery,
  F.maybe, int((r[F.maybe] or 0) + 1)})
write_down(k)
local index = redis.call('RPUSH', k.tries, encoded({send = tonumber(send), channel = channel, at = int(now),
  fence = fence})) - 1
redis.call('PEXPIRE', k.tries, TRIES)
count_in(KEYS[4 + chosen], now, windows, nth_of(id, index))
return {'try', index, channel, int(now), f}
