-- One counted attempt: count, compare and consume in one step, so that no two checks can both be right.
-- KEYS: record, due, events, wrong codes of everybody, wrong codes of this device, known devices, wrong codes in a row,
--       the prefix's sends, the mark of an approved recipient, the guard's test of the prefix
-- ARGV: nonce, id, client, purpose ('' = not said), bindings given ("", "s", "c", "sc"), wrong ('1': cannot be right),
--       failures windows, disable after, device ('' = none), braked ms, code length given, the terms of the guard
--       ('' = off), then kid, digest of each secret key
local k = {record = KEYS[1], due = KEYS[2], events = KEYS[3], failures = KEYS[4], own_failures = KEYS[5],
  devices = KEYS[6], failed = KEYS[7], prefix = KEYS[8], approved = KEYS[9], guard = KEYS[10]}
local record = k.record
local nonce, id, client, purpose, bindings, wrong, windows, disable_after, device, braked, length, guard =
  unpack(ARGV, 1, 12)
local now = clock()
go_on_without_memory(record)

local r = redis.call('HMGET', record, F.client, F.bindings, F.code_length, F.purpose, F.kid, F.valid_from, F.valid_to)
if r[1] ~= client then return {'missing'} end
local again = replay(record, nonce)
if again then return again end
local bound = r[2] or ''
if bound ~= bindings then return {'unbound', bound} end
if r[3] ~= length then return {'length', r[3]} end
local status = status_of(k, id, now)
if status ~= 'pending' then return snapshot(status, now, record) end
if is_disabled(k.failed, disable_after) then return {'disabled', snapshot('pending', now, record)} end
local known = is_known(k.devices, device, now)
local failures = known and k.own_failures or k.failures
local limit, wait = 'failures', wait_for(failures, now, windows)
if not known and tonumber(braked) > wait then limit, wait = 'client', tonumber(braked) end
if wait > 0 then return {'refused', limit, int(wait), snapshot('pending', now, record)} end

-- The nonces of the sends: the windows know them by these.
local function sends_of(record)
  local nonces, fields = {}, redis.call('HGETALL', record)
  for i = 1, #fields, 2 do
    local sent = string.find(fields[i + 1], '^[cr] ')
    if sent and string.sub(fields[i], 1, 2) == 'r:' then nonces[#nonces + 1] = string.sub(fields[i], 3) end
  end
  return nonces
end

local digest
for i = 13, #ARGV, 2 do
  if ARGV[i] == r[5] then digest = ARGV[i + 1] end
end
-- The caller lacks this record's key: a right code would look wrong to it.
if not digest then return snapshot(status, now, record) end

local right = false
if wrong ~= '1' and (purpose == '' or purpose == r[4]) then
  for counter = tonumber(r[6] or 0), tonumber(r[7] or 0) do
    right = right or redis.call('HGET', record, 'd' .. int(counter)) == digest
  end
end

if right then
  redis.call('HSET', record, F.approved, int(now), F.token, nonce)
  finish(k, id, now, 'approved')
  redis.call('DEL', k.failed)
  -- Nobody's handset is behind a test number.
  if not redis.call('HGET', record, F.test) then
    redis.call('SET', k.approved, '1', 'PX', KNOWN)
    if device ~= '' then
      redis.call('ZADD', k.devices, int(now), device)
      redis.call('ZREMRANGEBYRANK', k.devices, 0, -DEVICES - 1)
      redis.call('PEXPIRE', k.devices, KNOWN)
      redis.call('DEL', k.own_failures)
    end
  end
  local sends = sends_of(record)
  if #sends > 0 then redis.call('ZREM', k.prefix, unpack(sends)) end
  local s = remember('approved', now, record, nonce)
  s[4], s[5] = redis.call('HGET', record, F.buckets) or '', sends
  s[6] = guard_approved(k, now, guard)
  return s
end
local attempts = redis.call('HINCRBY', record, F.attempts, 1)
count_in(failures, now, windows, nonce)
redis.call('INCR', k.failed)
redis.call('PEXPIRE', k.failed, FAILED)
if attempts >= tonumber(redis.call('HGET', record, F.max_attempts)) then
  finish(k, id, now, 'exhausted')
end
return remember('mismatch', now, record, nonce)
