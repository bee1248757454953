-- A verification with its tries, as it stands now.
-- KEYS: record, tries, due, events   ARGV: id, client
local k = {record = KEYS[1], due = KEYS[3], events = KEYS[4]}
local id, client = unpack(ARGV)
local now = clock()
go_on_without_memory(k.record)
local r = read(k)
if r[F.client] ~= client then return {'missing'} end
local status = status_of(k, id, now)
local s = snapshot(status, now, r)
s[4] = redis.call('LRANGE', KEYS[2], 0, -1)
-- What a resend needs to name its keys, its channel and its next code.
s[5] = {}
for n, name in ipairs({F.scope, F.buckets, F.device, F.to, F.seed, F.binding, F.counter, F.deliver, F.channel}) do
  s[5][n] = r[name] or false
end
return s
