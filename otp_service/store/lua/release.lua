-- Give a claim back: its request changed nothing.   KEYS: claim   ARGV: nonce
local held = redis.call('HMGET', KEYS[1], 'nonce', 'answer')
if held[1] == ARGV[1] and not held[2] then redis.call('DEL', KEYS[1]) end
return 1
