-- Record what a try came to; once, and by its holder, however late.
-- KEYS: record, tries, due, events, outbox, later, the recipient's window at the channel, who waits for the outcome
-- ARGV: id, index, fence, outcome, reason, detail, gateway_id, took_ms
local k = {record = KEYS[1], tries = KEYS[2], due = KEYS[3], events = KEYS[4], outbox = KEYS[5], later = KEYS[6]}
local id, index, fence, outcome, reason, detail, gateway_id, took = unpack(ARGV)
go_on_without_memory(k.record)
local encoded = redis.call('LINDEX', k.tries, index)
local t = encoded and cjson.decode(encoded)
if not t or t.fence ~= fence or (t.outcome and not t.orphan) then return 0 end
t.outcome, t.reason, t.detail, t.gateway_id, t.took_ms, t.orphan = outcome, reason, detail, gateway_id, tonumber(took), nil
redis.call('LSET', k.tries, index, cjson.encode(t))
-- What was not taken does not count for the number.
if outcome == 'rejected' or outcome == 'retryable' then redis.call('ZREM', KEYS[7], id .. ':' .. index) end

local now = clock()
if status_of(k, id, now) ~= 'pending' then return 1 end
local r = redis.call('HMGET', k.record, F.sends, F.delivery, F.counter, F.valid_from, F.wait)
if tonumber(r[1]) ~= t.send then return 1 end
if outcome == 'accepted' then
  if r[2] == 'trying' then deliver_state(k, id, now, 'accepted', t.channel) end
  -- `rotate`: the old codes die when a gateway has accepted the new one.
  for counter = tonumber(r[4] or 0), tonumber(r[3] or 0) - 1 do redis.call('HDEL', k.record, 'd' .. int(counter)) end
  if r[3] then redis.call('HSET', k.record, F.valid_from, r[3]) end
  if t.report and judge_reports(k, id, now, t) then queue(k, id, r[1], now) end
elseif outcome ~= 'unknown' then
  redis.call('HINCRBY', k.record, F.maybe, -1)
end
tell_waiting(k, KEYS[8], r[1])
return 1
