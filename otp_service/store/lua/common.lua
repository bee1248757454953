-- Shared by every script. Time is Redis's; a moment and a span are milliseconds.
-- How long an ended verification and the tries are remembered, unless `[retention]` says otherwise: see scripts.py.
local TOMBSTONE = 7200000
local TRIES = 259200000
-- How long an Idempotency-Key is.
local CLAIM = 7200000
-- How many verifications of one client and recipient are listed for look-ups.
local RECENT = 20

-- Whether a record counts only in the line of servers that it was made in: fence.lua says so.
local FENCED = false

-- A whole number as text, for what must be text; Redis takes and gives numbers as they are, exactly up to 2^53.
local function int(n) return string.format('%.0f', n) end

local function clock()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- What a worker needs to know of a channel.
local function standing(channel)
  return redis.call('HMGET', channel, 'open', 'probe_until', 'rest', 'paused', 'at', 'n', 'ok', 'lat', 'rn', 'rok',
    'cn', 'cok', 'heard')
end

-- With its memory used up, Redis refuses the first write of a script that could need more, and lets go on whatever has
-- written before. This writes nothing. What proves, carries or ends a verification goes on; what starts one does not.
local function go_on_without_memory(hash) redis.call('HDEL', hash, '') end
