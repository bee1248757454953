-- An API key is revoked; asked again, the first time stands.
-- KEYS: revoked   ARGV: the key's id, who says so, how many there may be
-- Returns 1 when it was not revoked before, and what the hash holds of it; 0 and false when there are too many.
local revoked = KEYS[1]
local id, by, most = unpack(ARGV)
local held = redis.call('HGET', revoked, id)
if held then return {0, held} end
if redis.call('HLEN', revoked) >= tonumber(most) then return {0, false} end
local said = int(clock()) .. ' ' .. by
redis.call('HSET', revoked, id, said)
return {1, said}
