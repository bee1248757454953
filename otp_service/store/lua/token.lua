-- Is the token of this verification unused; use it up if asked to.
-- KEYS: record   ARGV: nonce, client, token id, consume ('1')
local k = {record = KEYS[1]}
local nonce, client, token, consume = unpack(ARGV)
local now = clock()
go_on_without_memory(k.record)
local r = read(k)
if r[F.client] ~= client or r[F.token] ~= token then return {'missing', int(now)} end
if FENCED and is_fenced_off(r) then return {'missing', int(now)} end
if r[F.used] and r[F.used] ~= nonce then return {'used', int(now)} end
if consume == '1' then redis.call('HSET', k.record, F.used, nonce) end
return snapshot('valid', now, r)
