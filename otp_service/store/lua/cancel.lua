-- KEYS: record, due, events   ARGV: id, client
local k = {record = KEYS[1], due = KEYS[2], events = KEYS[3]}
local id, client = unpack(ARGV)
local now = clock()
if redis.call('HGET', k.record, F.client) ~= client then return {'missing'} end
local status = status_of(k, id, now)
if status == 'pending' then
  finish(k, id, now, 'canceled')
  status = 'canceled'
end
return snapshot(status, now, k.record)
