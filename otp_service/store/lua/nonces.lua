-- Shared by what may be asked again: start, resend, check.

-- How many of a snapshot's fields are remembered.
local CHANGING = 5

-- How a record remembers what a request was answered.
local LETTERS = {created = 'c', resent = 'r', mismatch = 'm', approved = 'a', pending = 'p', exhausted = 'x',
  expired = 'e', canceled = 'k', queued = 'q', trying = 't', accepted = 'h', delivered = 'd', undelivered = 'u',
  unconfirmed = 'n', failed = 'f'}

-- A request is known by its nonce, so that one whose reply was lost can be asked again and counts once. What it was
-- answered is kept in as few letters as will do; the moment of the next resend is counted from now.
local function remember(k, result, now, nonce)
  local s = snapshot(result, now, k.r)
  local status, delivery, attempts, sends, resend = unpack(s[3], 1, CHANGING)
  put(k, {'r:' .. nonce, table.concat({LETTERS[result], s[2], LETTERS[status], LETTERS[delivery], attempts, sends,
    int(resend - now)}, ' ')})
  return s
end

local function replay(k, nonce)
  local kept = k.r['r:' .. nonce]
  if not kept then return nil end
  -- Written again, as it is: WAIT counts the writes of its connection only, and the first write may have been another's.
  redis.call('HSET', k.record, 'r:' .. nonce, kept)
  local words = {}
  for word in string.gmatch(kept, '%S+') do words[#words + 1] = word end
  local told = {}
  for word, letter in pairs(LETTERS) do told[letter] = word end
  local s = snapshot(told[words[1]], 0, k.r)
  s[2] = words[2]
  for i, word in ipairs({told[words[3]], told[words[4]], words[5], words[6], int(words[7] + words[2])}) do s[3][i] = word end
  return s
end
