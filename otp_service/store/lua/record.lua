-- Record what a try came to; once, and by its holder, however late.
-- KEYS: record, tries, due, events, outbox, later, the recipient's window at the channel, who waits for the outcome
-- ARGV: id, index, fence, outcome, reason, detail, gateway_id, took_ms
local k = {record = KEYS[1], tries = KEYS[2], due = KEYS[3], events = KEYS[4], outbox = KEYS[5], later = KEYS[6]}
local id, index, fence, outcome, reason, detail, gateway_id, took = unpack(ARGV)
go_on_without_memory(k.record)
local kept = redis.call('LINDEX', k.tries, index)
local t = kept and decoded(kept)
if not t or t.fence ~= fence or (t.outcome and not t.orphan) then return 0 end
t.outcome, t.reason, t.detail, t.gateway_id, t.took_ms = outcome, reason, detail, gateway_id, tonumber(took)
-- Who holds it does not matter any more.
t.fence, t.orphan = nil, nil
redis.call('LSET', k.tries, index, encoded(t))
-- What was not taken does not count for the number.
if outcome == 'rejected' or outcome == 'retryable' then redis.call('ZREM', KEYS[7], nth_of(id, index)) end

local now = clock()
local r = read(k)
if status_of(k, id, now) ~= 'pending' or tonumber(r[F.sends]) ~= t.send then return 1 end
if outcome == 'accepted' then
  if r[F.delivery] == 'trying' then deliver_state(k, id, now, 'accepted', t.channel) end
  -- `rotate`: the old codes die when a gateway has accepted the new one.
  for counter = tonumber(r[F.valid_from] or 0), tonumber(r[F.counter] or 0) - 1 do put(k, {'d' .. int(counter), ''}) end
  put(k, {F.valid_from, r[F.counter] or ''})
  if t.report and judge_reports(k, id, now, t) then queue(k, id, r[F.sends], now) end
elseif outcome ~= 'unknown' then
  put(k, {F.maybe, int((r[F.maybe] or 0) - 1)})
end
-- Where the number itself is refused the send ends now, and whoever waits is told of that.
if outcome ~= 'rejected' or reason ~= 'number' then tell_waiting(k, KEYS[8], r[F.sends]) end
write_down(k)
return 1
