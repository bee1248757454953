-- Shared by what counts or is held against a limit.
-- How long an approval speaks for its recipient and its device, unless `[retention]` says otherwise, and how many
-- devices of one recipient are known.
local KNOWN = 7776000000
local DEVICES = 5
-- Wrong codes in a row are forgotten when there was none for so long.
local FAILED = 31622400000

-- Windows that were looked into and held nothing.
local EMPTY = {}

-- Milliseconds until a rolling window has room again; 0 when it has room. `windows` is "5/3600000 10/86400000".
-- `kept` of each count are for others; one is for everybody.
local function wait_for(key, now, windows, kept)
  if windows == '' then return 0 end
  local wait, size = 0, redis.call('ZCARD', key)
  if size == 0 then
    EMPTY[key] = true
    return 0
  end
  for count, span in string.gmatch(windows, '(%d+)/(%d+)') do
    count = math.max(count - (kept or 0), 1)
    if count <= size then
      local nth = redis.call('ZREVRANGE', key, count - 1, count - 1, 'WITHSCORES')
      wait = math.max(wait, nth[2] + span - now)
    end
  end
  return wait
end

local function count_in(key, now, windows, member)
  local longest = 0
  for span in string.gmatch(windows, '/(%d+)') do longest = math.max(longest, tonumber(span)) end
  if longest == 0 then return end
  if not EMPTY[key] then redis.call('ZREMRANGEBYSCORE', key, '-inf', now - longest) end
  redis.call('ZADD', key, now, member)
  redis.call('PEXPIRE', key, longest)
end

-- Whether the recipient was approved on this device lately, for this client.
local function is_known(devices, device, now)
  return device ~= '' and tonumber(redis.call('ZSCORE', devices, device) or 0) > now - KNOWN
end

-- Too many wrong codes in a row; `failed` is how many, false for none.
local function is_disabled(failed, disable_after)
  return tonumber(disable_after) > 0 and tonumber(failed or 0) >= tonumber(disable_after)
end
