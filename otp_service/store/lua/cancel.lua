-- KEYS: record, due, events   ARGV: id, client
local k = {record = KEYS[1], due = KEYS[2], events = KEYS[3]}
local id, client = unpack(ARGV)
local now = clock()
go_on_without_memory(k.record)
local r = read(k)
if r[F.client] ~= client then return {'missing'} end
local status = status_of(k, id, now)
if status == 'pending' then
  finish(k, id, now, 'canceled')
  write_down(k)
elseif status == 'canceled' then
  -- Written again, as it is, for the WAIT that may follow: see `replay`.
  redis.call('HSET', k.record, F.status, status)
end
return snapshot(r[F.status], now, r)
