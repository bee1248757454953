-- What was due: a verification's end, what an approval says of its channels, the report of a send that was only played,
-- or an open send that somebody must look at.
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

if kind == 'd' then
  local member = send .. ':' .. id
  local moment = redis.call('ZSCORE', k.later, member)
  if not moment or tonumber(moment) > now then return false end
  redis.call('ZREM', k.later, member)
  local r = read(k)
  local delivery, entry = r[F.delivery], r[F.entry]
  if status_of(k, id, now) ~= 'pending' or r[F.sends] ~= send then return false end
  if delivery ~= 'queued' and delivery ~= 'trying' and not (delivery == 'accepted' and r[F.extra] == send) then
    return false
  end
  if entry and comes_to_somebody(entry) then
    -- It still waits in the outbox, or is worked on.
    redis.call('ZADD', k.later, int(now + LOOK_AGAIN), member)
  else
    put(k, {F.holder, ''})
    if entry then redis.call('XDEL', k.outbox, entry) end
    queue(k, id, send, now)
    write_down(k)
  end
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
  -- Our clock has stepped back since the caller looked.
  redis.call('ZADD', k.due, r[F.expires], kind .. ':' .. id)
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
