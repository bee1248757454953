-- A report whose try is not known yet waits.   KEYS: orphans   ARGV: row, milliseconds, how many may wait
local orphans = KEYS[1]
local row, delay, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if redis.call('ZCARD', orphans) >= most then return 0 end
redis.call('ZADD', orphans, int(clock() + delay), row)
return 1
