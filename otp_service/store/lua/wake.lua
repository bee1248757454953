-- What was due: a verification's end or a look at its open send, what an approval says of its channels, the report of a
-- send that was only played, or the next round of a send that was put off.
-- KEYS: record, tries, due, events, outbox, later   ARGV: kind ('e', 'a', 'r', 'd'), id, send (of 'd'), group
-- Returns the status and the channels that carried it, for an end; else nothing.
local k = {record = KEYS[1], tries = KEYS[2], due = KEYS[3], events = KEYS[4], outbox = KEYS[5], later = KEYS[6]}
local kind, id, send, group = unpack(ARGV)
local now = clock()
go_on_without_memory(k.record)
local GROUPS = 'GROUPS'

-- Whether one entry of the stream stands behind another.
local function is_after(entry, other)
  local ms, seq = string.match(entry, '(%d+)-(%d+)')
  local other_ms, other_seq = string.match(other, '(%d+)-(%d+)')
  if ms ~= other_ms then return tonumber(ms) > tonumber(other_ms) end
  return tonumber(seq) > tonumber(other_seq)
end

-- Whether the outbox will still bring this entry to a worker. One that was deleted is brought to nobody, nor is one
-- that was handed to a consumer whom somebody deleted.
local function comes_to_somebody(entry)
  if #redis.call('XRANGE', k.outbox, entry, entry) == 0 then return false end
  for _, fields in ipairs(redis.call('XINFO', GROUPS, k.outbox)) do
    local g = {}
    for n = 1, #fields, 2 do g[fields[n]] = fields[n + 1] end
    if g.name == group and not is_after(entry, g['last-delivered-id']) then
      return #redis.call('XPENDING', k.outbox, group, entry, entry, 1) > 0
    end
  end
  return true
end

-- A send that is open, though no entry of the outbox will bring it to a worker, is queued anew.
local function queue_again(r)
  local entry = entry_of(r)
  if entry and comes_to_somebody(entry) then return false end
  put(k, {F.holder, ''})
  if entry then redis.call('XDEL', k.outbox, entry) end
  queue(k, id, r[F.sends], now)
  write_down(k)
  return true
end

local function is_open(r)
  local delivery = r[F.delivery]
  return delivery == 'queued' or delivery == 'trying' or (delivery == 'accepted' and r[F.extra] == r[F.sends])
end

if kind == 'd' then
  local member = send .. ':' .. id
  local moment = redis.call('ZSCORE', k.later, member)
  if not moment or tonumber(moment) > now then return false end
  redis.call('ZREM', k.later, member)
  local r = read(k)
  if status_of(k, id, now) == 'pending' and r[F.sends] == send and is_open(r) then queue_again(r) end
  return false
end

if redis.call('ZREM', k.due, kind .. ':' .. id) == 0 then return false end
local r = read(k)
local status = status_of(k, id, now)
if kind == 'r' then
  local sent, says, channel = string.match(r[F.said] or '', '(%d+) (%a+) (%S+)')
  if status == 'pending' and r[F.sends] == sent and r[F.delivery] == 'accepted' then
    deliver_state(k, id, now, says, channel)
    write_down(k)
  end
  return false
end
if status == 'pending' then
  if not is_open(r) then
    look_at(k, id, r[F.expires])
  elseif redis.call('ZSCORE', k.later, r[F.sends] .. ':' .. id) or not queue_again(r) then
    look_at(k, id, now + LOOK_AGAIN)
  end
  return false
end
if not status then return false end
local channels, known = {}, {}
for _, t in each_try(k.tries) do
  if not known[t.channel] and (t.outcome == 'accepted' or t.outcome == 'unknown') then
    known[t.channel] = true
    channels[#channels + 1] = t.channel
  end
end
return {status, unpack(channels)}
