-- Is the token of this verification unused; use it up if asked to.
-- KEYS: record   ARGV: nonce, client, token id, consume ('1')
local record = KEYS[1]
local nonce, client, token, consume = unpack(ARGV)
local now = clock()
go_on_without_memory(record)
local r = redis.call('HMGET', record, F.client, F.token, F.used)
if r[1] ~= client or r[2] ~= token then return {'missing', int(now)} end
if FENCED and is_fenced_off(record) then return {'missing', int(now)} end
if r[3] and r[3] ~= nonce then return {'used', int(now)} end
if consume == '1' then redis.call('HSET', record, F.used, nonce) end
return snapshot('valid', now, record)
