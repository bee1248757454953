-- Reports that waited long enough go back to their readers; none is lost or doubled between.
-- KEYS: orphans, reports   ARGV: how many at the most, how many reports are kept
local orphans, reports = KEYS[1], KEYS[2]
local due = redis.call('ZRANGEBYSCORE', orphans, '-inf', int(clock()), 'LIMIT', 0, ARGV[1])
for _, row in ipairs(due) do
  redis.call('XADD', reports, 'MAXLEN', '~', ARGV[2], '*', 'row', row)
  redis.call('ZREM', orphans, row)
end
return #due
