-- KEYS: record, due   ARGV: id, client
local record, due = unpack(KEYS)
local id, client = unpack(ARGV)
local now = clock()
if redis.call('HGET', record, 'client') ~= client then return {'missing'} end
local status = status_of(record, due, id, now)
if status == 'pending' then
  finish(record, due, id, now, 'canceled')
  status = 'canceled'
end
return snapshot(status, now, record)
