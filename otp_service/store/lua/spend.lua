-- Spend within a cap on any 24 hours, or say how long there is no room; 0 is spent. Money is counted by the hour it was
-- spent in, and the hour that is only partly in the 24 counts whole: never too much, sometimes a little less.
-- KEYS: ledger, this send's mark   ARGV: cap, price (both millionths)
local ledger, mark = KEYS[1], KEYS[2]
local cap, price = tonumber(ARGV[1]), tonumber(ARGV[2])
local HOUR, HOURS = 3600000, 24
local now = clock()
local this = math.floor(now / HOUR)
if redis.call('EXISTS', mark) == 1 then return '0' end

local hours, sum, fields = {}, 0, redis.call('HGETALL', ledger)
for i = 1, #fields, 2 do
  local hour = tonumber(fields[i])
  if hour + HOURS < this then
    redis.call('HDEL', ledger, fields[i])
  else
    hours[#hours + 1] = {hour, tonumber(fields[i + 1])}
    sum = sum + hours[#hours][2]
  end
end
if sum + price > cap then
  -- Room comes hour by hour, as the oldest leave.
  table.sort(hours, function(a, b) return a[1] < b[1] end)
  for _, spent in ipairs(hours) do
    sum = sum - spent[2]
    if sum + price <= cap then return int((spent[1] + HOURS + 1) * HOUR - now) end
  end
  return int(HOURS * HOUR)
end
redis.call('HINCRBY', ledger, int(this), int(price))
redis.call('PEXPIRE', ledger, (HOURS + 1) * HOUR)
redis.call('SET', mark, int(this) .. ' ' .. int(price), 'PX', 60000)
return '0'
