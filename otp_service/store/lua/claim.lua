-- Take an Idempotency-Key, or learn who has it.   KEYS: claim   ARGV: request, nonce
go_on_without_memory(KEYS[1])
local held = redis.call('HMGET', KEYS[1], 'request', 'nonce', 'answer')
if held[1] then
  -- Written again, as it is, for the WAIT that may follow: see `replay`.
  redis.call('HSET', KEYS[1], 'request', held[1])
  return held
end
redis.call('HSET', KEYS[1], 'request', ARGV[1], 'nonce', ARGV[2])
redis.call('PEXPIRE', KEYS[1], CLAIM)
return {ARGV[1], ARGV[2], false}
