-- What verifications ('c': approved) and reports ('r': delivered) say of a channel that carried them.
-- KEYS: channel   ARGV: 'c' (approved) or 'r' (delivered), how many, how many of them good
local channel, kind, count, good = KEYS[1], unpack(ARGV)
local HALF_LIFE = 300000
local now = clock()
local n, ok, at = kind .. 'n', kind .. 'ok', kind .. 'at'
local r = redis.call('HMGET', channel, n, ok, at)
local fade = math.pow(0.5, math.max(now - tonumber(r[3] or now), 0) / HALF_LIFE)
redis.call('HSET', channel, at, int(now), n, string.format('%.6g', tonumber(r[1] or 0) * fade + count),
  ok, string.format('%.6g', tonumber(r[2] or 0) * fade + good))
return 1
