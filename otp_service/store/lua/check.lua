-- One counted attempt: count, compare and consume in one step, so that no two checks can both be right.
-- KEYS: record, due, events, wrong codes of everybody, wrong codes of this device, known devices, wrong codes in a row,
--       the prefix's sends, the mark of an approved recipient, the guard's test of the prefix
-- ARGV: nonce, id, client, purpose ('' = not said), bindings given ("", "s", "c", "sc"), wrong ('1': cannot be right),
--       failures windows, disable after, device ('' = none), braked ms, code length given, the terms of the guard
--       ('' = off), then kid, digest of each secret key
local k = {record = KEYS[1], due = KEYS[2], events = KEYS[3], failures = KEYS[4], own_failures = KEYS[5],
  devices = KEYS[6], failed = KEYS[7], prefix = KEYS[8], approved = KEYS[9], guard = KEYS[10]}
local nonce, id, client, purpose, bindings, wrong, windows, disable_after, device, braked, length, guard =
  unpack(ARGV, 1, 12)
local now = clock()
go_on_without_memory(k.record)

local r = read(k)
if r[F.client] ~= client then return {'missing'} end
local again = replay(k, nonce, of_request(nonce))
if again then return again end
local status = status_of(k, id, now)
local bound = r[F.bindings] or ''
if bound ~= bindings then return {'unbound', bound, snapshot(status, now, r)} end
if r[F.code_length] ~= length then return {'length', snapshot(status, now, r)} end
if status ~= 'pending' then return snapshot(status, now, r) end
local failed = redis.call('GET', k.failed)
if is_disabled(failed, disable_after) then return {'disabled', snapshot('pending', now, r)} end
local known = is_known(k.devices, device, now)
local failures = known and k.own_failures or k.failures
local limit, wait = 'failures', wait_for(failures, now, windows)
if not known and tonumber(braked) > wait then limit, wait = 'client', tonumber(braked) end
if wait > 0 then return {'refused', limit, wait, snapshot('pending', now, r)} end

local digest
for i = 13, #ARGV, 2 do
  if ARGV[i] == r[F.kid] then digest = ARGV[i + 1] end
end
-- The caller lacks this record's key: a right code would look wrong to it.
if not digest then return snapshot(status, now, r) end

local right = false
if wrong ~= '1' and (purpose == '' or purpose == r[F.purpose]) then
  for counter = tonumber(r[F.valid_from] or 0), tonumber(r[F.valid_to] or 0) do
    right = right or r['d' .. counter] == digest
  end
end

-- The nonces of the sends again: what lives on other partitions knows them by these. That of the start is in the id.
local function nonces_of_sends()
  local nonces = {}
  for name, value in pairs(r) do
    local nonce = string.match(name, '^r:(.*)')
    if nonce and string.find(value, '^r') then nonces[#nonces + 1] = nonce end
  end
  return nonces
end

if right then
  put(k, {F.approved, now, F.token, nonce})
  local counted = guard_approved(k, now, guard)
  finish(k, id, now, 'approved')
  write_down(k)
  if failed then redis.call('DEL', k.failed) end
  -- Nobody's handset is behind a test number.
  if not r[F.test] then
    redis.call('SET', k.approved, '1', 'PX', KNOWN)
    if device ~= '' then
      redis.call('ZADD', k.devices, now, device)
      redis.call('ZREMRANGEBYRANK', k.devices, 0, -DEVICES - 1)
      redis.call('PEXPIRE', k.devices, KNOWN)
      redis.call('DEL', k.own_failures)
    end
  end
  for n = 1, tonumber(r[F.sends]) do redis.call('ZREM', k.prefix, nth_of(id, n)) end
  local s = snapshot('approved', now, r)
  s[4], s[5] = r[F.buckets] or '', r[F.buckets] and nonces_of_sends() or {}
  s[6] = counted
  return s
end
local attempts = (r[F.attempts] or 0) + 1
put(k, {F.attempts, attempts})
count_in(failures, now, windows, nonce)
redis.call('INCR', k.failed)
redis.call('PEXPIRE', k.failed, FAILED)
if attempts >= tonumber(r[F.max_attempts]) then finish(k, id, now, 'exhausted') end
local s = remember(k, 'mismatch', now, of_request(nonce))
write_down(k)
return s
