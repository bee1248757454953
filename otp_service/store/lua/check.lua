-- One counted attempt: count, compare and consume in one step, so that no two checks can both be right.
-- KEYS: record, failures window, due, events
-- ARGV: nonce, id, client, purpose ('' = not said), bindings given ("", "s", "c", "sc"), wrong ('1': cannot be right),
--       failures windows, code length given, then kid, digest of each secret key
local record, failures = KEYS[1], KEYS[2]
local k = {record = record, due = KEYS[3], events = KEYS[4]}
local nonce, id, client, purpose, bindings, wrong, windows, length = unpack(ARGV, 1, 8)
local now = clock()

local r = redis.call('HMGET', record, 'client', 'bindings', 'code_length', 'purpose', 'kid', 'valid_from', 'valid_to')
if r[1] ~= client then return {'missing'} end
local again = replay(record, nonce)
if again then return again end
if r[2] ~= bindings then return {'unbound', r[2]} end
if r[3] ~= length then return {'length', r[3]} end
local status = status_of(k, id, now)
if status ~= 'pending' then return snapshot(status, now, record) end
local wait = wait_for(failures, now, windows)
if wait > 0 then return {'refused', 'failures', int(wait), snapshot('pending', now, record)} end

-- The nonces of the sends: an address's window knows them by these.
local function sends_of(record)
  local nonces, fields = {}, redis.call('HGETALL', record)
  for i = 1, #fields, 2 do
    local sent = string.find(fields[i + 1], '^created ') or string.find(fields[i + 1], '^resent ')
    if sent and string.sub(fields[i], 1, 2) == 'r:' then nonces[#nonces + 1] = string.sub(fields[i], 3) end
  end
  return nonces
end

local digest
for i = 9, #ARGV, 2 do
  if ARGV[i] == r[5] then digest = ARGV[i + 1] end
end
-- The caller lacks this record's key: a right code would look wrong to it.
if not digest then return snapshot(status, now, record) end

local right = false
if wrong ~= '1' and (purpose == '' or purpose == r[4]) then
  for counter = tonumber(r[6]), tonumber(r[7]) do
    right = right or redis.call('HGET', record, 'd' .. int(counter)) == digest
  end
end

if right then
  redis.call('HSET', record, 'approved', int(now), 'token', nonce)
  finish(k, id, now, 'approved')
  local s = remember('approved', now, record, nonce)
  s[4], s[5] = redis.call('HGET', record, 'ip') or '', sends_of(record)
  return s
end
local attempts = redis.call('HINCRBY', record, 'attempts', 1)
count_in(failures, now, windows, nonce)
if attempts >= tonumber(redis.call('HGET', record, 'max_attempts')) then
  finish(k, id, now, 'exhausted')
end
return remember('mismatch', now, record, nonce)
