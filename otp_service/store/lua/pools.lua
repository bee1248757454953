-- What a process has noted of countries since it last asked, and how they stand with it. One process asks every half second.
-- KEYS: control, held, then a pool for each country that something was noted of, or that is held
-- ARGV: terms, sends to known recipients, approvals of these, then for each pool: its name, sends as "ends:count …",
--       approvals as "ends:sends …"
-- Returns the moment, sends and approvals of known recipients in the last minutes, and what is held:
-- name, "reason until since approved/ended".
local control, held = KEYS[1], KEYS[2]
local t, now = guard_terms(ARGV[1]), clock()
local here = math.floor(now / t.slot)

if ARGV[2] ~= '0' then redis.call('HINCRBY', control, 's' .. int(here), ARGV[2]) end
if ARGV[3] ~= '0' then redis.call('HINCRBY', control, 'h' .. int(here), ARGV[3]) end
local sent, approved, fields = 0, 0, redis.call('HGETALL', control)
for i = 1, #fields, 2 do
  local kind, slot = string.match(fields[i], '^([sh])(%d+)$')
  if tonumber(slot) <= here - t.recent then
    redis.call('HDEL', control, fields[i])
  elseif kind == 's' then
    sent = sent + fields[i + 1]
  else
    approved = approved + fields[i + 1]
  end
end
if #fields > 0 then redis.call('PEXPIRE', control, int(t.slot * t.recent)) end

for n = 3, #KEYS do
  local key, name, sends, approvals = KEYS[n], unpack(ARGV, 3 * n - 5, 3 * n - 3)
  local g = guard_settle(key, now, t)
  for ends, count in string.gmatch(sends, '(%d+):(%d+)') do guard_send(key, ends, count, t) end
  for ends, count in string.gmatch(approvals, '(%d+):(%d+)') do guard_approve(key, g, now, ends, count, t) end
  g = guard_settle(key, now, t)
  local reason, wait = guard_ruling(g, now, t)
  if reason == '' then
    redis.call('HDEL', held, name)
  else
    local r = redis.call('HMGET', key, 'why', 'since')
    -- An open send's end is looked at again before anybody may send: a look is at most half a second old.
    if reason == 'first_seen' then wait, r = wait + 1000, {int(g.approved) .. '/' .. int(g.approved + g.missed), int(now)} end
    redis.call('HSET', held, name, reason .. ' ' .. int(now + wait) .. ' ' .. r[2] .. ' ' .. r[1])
    redis.call('PEXPIRE', held, int(t.longest))
  end
end
return {int(now), int(sent), int(approved), redis.call('HGETALL', held)}
