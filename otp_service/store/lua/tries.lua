-- Shared by what reads and writes tries. They are kept longest of all, so each is a list of its values alone, in JSON
-- and in this order; `tries.py` reads it too. What is empty is an empty text, and left out at the end.
local NAMES = {'send', 'channel', 'at', 'fence', 'outcome', 'reason', 'detail', 'gateway_id', 'took_ms', 'report',
  'report_words', 'orphan', 'not_asked'}

local function decoded(kept)
  local t = {}
  for n, value in ipairs(cjson.decode(kept)) do
    if value ~= '' then t[NAMES[n]] = value end
  end
  return t
end

local function encoded(t)
  local values, last = {}, 0
  for n, name in ipairs(NAMES) do
    values[n] = t[name] or ''
    if values[n] ~= '' then last = n end
  end
  return cjson.encode({unpack(values, 1, last)})
end

local function each_try(key)
  local tries = redis.call('LRANGE', key, 0, -1)
  for n, kept in ipairs(tries) do tries[n] = decoded(kept) end
  return ipairs(tries)
end
