-- Count in a bucket, or say how long it is full; 0 is counted.   KEYS: window   ARGV: windows, member
local now = clock()
local wait = wait_for(KEYS[1], now, ARGV[1])
if wait > 0 and not redis.call('ZSCORE', KEYS[1], ARGV[2]) then return int(wait) end
count_in(KEYS[1], now, ARGV[1], ARGV[2])
return '0'
