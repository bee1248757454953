-- A verification with its tries, as it stands now.
-- KEYS: record, tries, due   ARGV: id, client
local record, tries, due = unpack(KEYS)
local id, client = unpack(ARGV)
local now = clock()
if redis.call('HGET', record, 'client') ~= client then return {'missing'} end
local status = status_of(record, due, id, now)
local s = snapshot(status, now, record)
s[4] = redis.call('LRANGE', tries, 0, -1)
-- What a resend needs to name its keys, its channel and its next code.
s[5] = redis.call('HMGET', record, 'scope', 'ip', 'to', 'seed', 'binding', 'counter', 'deliver', 'channel')
return s
