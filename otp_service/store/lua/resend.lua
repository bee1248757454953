-- Send again, by id. The caller read the record to name the scope and the recipient; everything is judged again here.
-- KEYS: scope, record, the keys of a send, then channels' recipient windows
-- ARGV: id, client, the terms of a send
local k = send_keys(3)
k.scope, k.record = KEYS[1], KEYS[2]
local id, client = unpack(ARGV, 1, 2)
local a = terms(3)
local now = clock()

local r = read(k)
if r[F.client] ~= client then return {'missing'} end
local again = replay(k, a.nonce, of_request(a.nonce))
if again then return again end
local status = status_of(k, id, now)
if status ~= 'pending' then return snapshot(status, now, r) end

if r[F.expires] - now < MIN_LIFE_TO_RESEND then return snapshot('expired', now, r) end
if a.counter ~= '' and (r[F.counter] or 0) + 1 ~= tonumber(a.counter) then return {'moved', id} end

read_marks(k)
if k.is_suppressed then return {'suppressed'} end
if is_disabled(k.in_a_row, a.disable_after) then return {'disabled', snapshot('pending', now, r)} end
local limit, wait = refusal(k, now, a, r)
local guard = guard_look(k, now, a)
limit, wait = guard_refuses(guard, a, limit, wait)
if wait > 0 then return {'refused', limit, wait, snapshot('pending', now, r), guard_said(guard)} end
if is_full(k, a.outbox_max) then return {'full'} end

send(k, now, id, r[F.sends] + 1, a)
guard_count(k, guard, a, r[F.expires])
local s = remember(k, 'resent', now, of_request(a.nonce))
write_down(k)
s[4] = guard_said(guard)
return s
