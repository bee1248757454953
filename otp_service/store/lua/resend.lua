-- Send again, by id. The caller read the record to name the scope and the recipient; everything is judged again here.
-- KEYS: scope, record, the keys of a send, then channels' recipient windows
-- ARGV: id, client, the terms of a send
local k = send_keys(3)
k.scope, k.record = KEYS[1], KEYS[2]
local id, client = unpack(ARGV, 1, 2)
local a = terms(3)
local now = clock()

if redis.call('HGET', k.record, F.client) ~= client then return {'missing'} end
local again = replay(k.record, a.nonce)
if again then return again end
local status = status_of(k, id, now)
if status ~= 'pending' then return snapshot(status, now, k.record) end

local r = redis.call('HMGET', k.record, F.expires, F.sends, F.counter)
if r[1] - now < MIN_LIFE_TO_RESEND then return snapshot('expired', now, k.record) end
if a.counter ~= '' and (r[3] or 0) + 1 ~= tonumber(a.counter) then return {'moved', id} end

if redis.call('EXISTS', k.suppressed) == 1 then return {'suppressed'} end
if is_disabled(k.failed, a.disable_after) then return {'disabled', snapshot('pending', now, k.record)} end
local limit, wait = refusal(k, now, a, k.record)
local guard = guard_look(k, now, a)
limit, wait = guard_refuses(guard, a, limit, wait)
if wait > 0 then return {'refused', limit, int(wait), snapshot('pending', now, k.record), guard_said(guard)} end
if redis.call('ZCARD', k.later) >= a.outbox_max then return {'full'} end

send(k, now, id, r[2] + 1, a)
guard_count(k, guard, a, r[1])
local s = remember('resent', now, k.record, a.nonce)
s[4] = guard_said(guard)
return s
