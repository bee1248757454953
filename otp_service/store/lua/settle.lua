-- The work on an outbox entry is over: accepted, done (nothing more to do), failed, expired, or due again later.
-- KEYS: record, tries, due, events, outbox, later, who waits for the outcome; of a played send also the recipient's
--       window at its channel
-- ARGV: id, send, fence, entry, group, verdict, delay; of a played send also its channel, the channel's windows, and
--       the milliseconds until its report and what that says (delivered, undelivered), both '' for none
local k = {record = KEYS[1], tries = KEYS[2], due = KEYS[3], events = KEYS[4], outbox = KEYS[5], later = KEYS[6]}
local id, send, fence, entry, group, verdict, delay, channel, windows, report_in, says = unpack(ARGV)
local now = clock()
go_on_without_memory(k.record)
local r = read(k)
local status, delivery = status_of(k, id, now), r[F.delivery]
local again = delivery == 'accepted' and r[F.extra] == send
local played = r[F.deliver] == '0'
local open = status == 'pending' and r[F.sends] == send and (delivery == 'queued' or delivery == 'trying' or again)
local waits = false
-- An entry that was written anew, or beside which a report wrote another, decides nothing.
local current = entry_of(r) == entry

-- What a real one does later: it fills the channel's window for this number, and is reported.
local function play_on()
  count_in(KEYS[8], now, windows, nth_of(id, send))
  if verdict ~= 'accepted' or says == '' then return end
  put(k, {F.said, send .. ' ' .. says .. ' ' .. channel})
  redis.call('ZADD', k.due, int(now + report_in), 'r:' .. id)
end

if open and current then
  -- A worker that was thought dead leaves the entry to the one that took it over.
  local held = r[F.holder]
  if held and held ~= send .. ':' .. fence and string.find(held, send .. ':', 1, true) == 1 then return 0 end
  local nothing_left = tonumber(r[F.maybe] or 0) <= 0 or played
  if verdict == 'later' then
    waits = true
    if played then put(k, {F.maybe, ''}) end
  elseif verdict == 'accepted' and not again then
    deliver_state(k, id, now, 'accepted', channel)
  elseif (verdict == 'failed' or verdict == 'expired') and nothing_left and not again then
    deliver_state(k, id, now, verdict, '', verdict)
  elseif all_undelivered(k.tries, tonumber(send)) then
    deliver_state(k, id, now, 'undelivered')
  end
  if channel and (verdict == 'accepted' or verdict == 'done') then play_on() end
  tell_waiting(k, KEYS[7], send)
  write_down(k)
end
if waits then
  redis.call('ZADD', k.later, int(now + delay), send .. ':' .. id)
elseif status == 'pending' and current then
  -- Nobody need look before the end. `XX`: what has ended is not due again.
  redis.call('ZADD', k.due, 'XX', r[F.expires], 'e:' .. id)
end
redis.call('XACK', k.outbox, group, entry)
redis.call('XDEL', k.outbox, entry)
return 1
