-- Keep the first answer of a claim; a claim that was given back meanwhile is taken again.
-- KEYS: claim   ARGV: request, nonce, answer
go_on_without_memory(KEYS[1])
local nonce = redis.call('HGET', KEYS[1], 'nonce')
if nonce and nonce ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'request', ARGV[1], 'nonce', ARGV[2])
redis.call('HSETNX', KEYS[1], 'answer', ARGV[3])
redis.call('PEXPIRE', KEYS[1], CLAIM)
return 1
