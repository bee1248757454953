-- A verification with its tries, as it stands now.
-- KEYS: record, tries, due, events   ARGV: id, client
local record, tries = KEYS[1], KEYS[2]
local k = {record = record, due = KEYS[3], events = KEYS[4]}
local id, client = unpack(ARGV)
local now = clock()
go_on_without_memory(record)
if redis.call('HGET', record, F.client) ~= client then return {'missing'} end
local status = status_of(k, id, now)
local s = snapshot(status, now, record)
s[4] = redis.call('LRANGE', tries, 0, -1)
-- What a resend needs to name its keys, its channel and its next code.
s[5] = redis.call('HMGET', record, F.scope, F.buckets, F.device, F.to, F.seed, F.binding, F.counter, F.deliver, F.channel)
return s
