-- How one webhook's queue stands.   KEYS: due, gone   ARGV: life of gone, renewed as long as somebody looks
local due, gone = unpack(KEYS)
redis.call('PEXPIRE', gone, ARGV[1])
local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
local late = first[2] and math.max(0, clock() - first[2]) or 0
return {redis.call('ZCARD', due), int(late), redis.call('GET', gone)}
