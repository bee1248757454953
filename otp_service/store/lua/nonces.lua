-- Shared by what may be asked again: start, resend, check.

-- How many of a snapshot's fields are remembered.
local CHANGING = 5

-- How a record remembers what a request was answered.
local LETTERS = {created = 'c', resent = 'r', mismatch = 'm', approved = 'a', pending = 'p', exhausted = 'x',
  expired = 'e', canceled = 'k', queued = 'q', trying = 't', accepted = 'h', delivered = 'd', undelivered = 'u',
  unconfirmed = 'n', failed = 'f'}

-- Where a record keeps what its own start was answered: its id begins with the nonce of that, so no name is needed. That it
-- was created, pends, and nobody has tried a code is true of every start, so only the rest is kept.
local OF_START = 'r'
local function of_request(nonce) return 'r:' .. nonce end

-- A request is known by its nonce, so that one whose reply was lost can be asked again and counts once. What it was
-- answered is kept in as few letters as will do; its moment is counted from the beginning of the verification, that of the
-- next resend from that moment.
local function remember(k, result, now, name)
  local s = snapshot(result, now, k.r)
  local status, delivery, attempts, sends, resend = unpack(s[3], 1, CHANGING)
  local wait = int(resend - now)
  if name == OF_START then
    put(k, {name, LETTERS[delivery] .. wait})
  else
    put(k, {name, LETTERS[result] .. LETTERS[status] .. LETTERS[delivery] .. table.concat({now - k.r[F.created],
      attempts, sends, wait}, ' ')})
  end
  return s
end

-- Written again, as it is: WAIT counts the writes of its connection only, and the first write may have been another's.
local function replay(k, nonce, name)
  if k.r[F.token] == nonce then
    -- An approval is known by its token, and nothing changes after it.
    redis.call('HSET', k.record, F.token, nonce)
    return snapshot('approved', k.r[F.approved], k.r)
  end
  local kept = k.r[name]
  if not kept then return nil end
  redis.call('HSET', k.record, name, kept)
  local result, status, delivery, after, attempts, sends, resend
  if name == OF_START then
    result, status, after, attempts, sends = LETTERS.created, LETTERS.pending, 0, '0', '1'
    delivery, resend = string.match(kept, '^(.)(%d+)$')
  else
    result, status, delivery, after, attempts, sends, resend =
      string.match(kept, '^(.)(.)(.)(%-?%d+) (%d+) (%d+) (%-?%d+)$')
  end
  local told = {}
  for word, letter in pairs(LETTERS) do told[letter] = word end
  local moment = k.r[F.created] + after
  local s = snapshot(told[result], moment, k.r)
  for i, was in ipairs({told[status], told[delivery], attempts, sends, moment + resend}) do s[3][i] = was end
  return s
end
