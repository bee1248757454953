-- What verifications ('c': approved) and reports ('r': delivered) say of a channel that carried them.
-- KEYS: channel   ARGV: 'c' (approved) or 'r' (delivered), how many, how many of them good, and of a report how many
--       milliseconds after its try it came ('' where that says nothing)
local channel, kind, count, good, after = KEYS[1], unpack(ARGV)
-- The latest reports, by which those of sends that nobody gets are played.
local HEARD = 16
local HALF_LIFE = 300000
local now = clock()
local n, ok, at = kind .. 'n', kind .. 'ok', kind .. 'at'
local r = redis.call('HMGET', channel, n, ok, at)
local fade = math.pow(0.5, math.max(now - tonumber(r[3] or now), 0) / HALF_LIFE)
redis.call('HSET', channel, at, int(now), n, string.format('%.6g', tonumber(r[1] or 0) * fade + count),
  ok, string.format('%.6g', tonumber(r[2] or 0) * fade + good))
if after ~= '' then
  local kept, heard = 1, after .. (good == '1' and '+' or '-')
  for one in string.gmatch(redis.call('HGET', channel, 'heard') or '', '%S+') do
    kept = kept + 1
    if kept <= HEARD then heard = heard .. ' ' .. one end
  end
  redis.call('HSET', channel, 'heard', heard)
end
return 1
