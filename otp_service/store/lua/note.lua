-- What calls of one channel came to: its breaker, its score, its figures. Every worker sees what this one leaves.
-- KEYS: channel, figures of this span of time
-- ARGV: judgement ('good', 'bad', 'silent', 'poor', 'neutral'), took_ms, the holder of a probe or '', milliseconds that the gateway wants to
--       be left alone, outcome:reason ('' for a call that is still silent), the gateway's words where it complains
-- Returns what happened ('', 'opened', 'closed') and the channel as `standing` reads it.
local channel, figures = unpack(KEYS)
local verdict, took, holder, rest, label, words = unpack(ARGV)
local now = clock()
took, rest = tonumber(took), tonumber(rest)

-- Nygard's circuit breaker on the last twenty calls: four in ten bad of a whole ring, or ten bad ones in a row. A
-- silent one counts twice: it costs a person seconds, where a refusal costs nothing. Calls of long ago are forgotten.
local RING, MOST_BAD, ROW, FORGET = 20, 8, 10, 300000
local MARKS = {good = 'o', poor = 'o', bad = 'x', silent = 'xx'}
local FIRST_SPELL, LONGEST_SPELL, PROBES = 5000, 60000, 3
-- The score forgets half of what it knows in five minutes.
local HALF_LIFE = 300000
local FIGURES_LIFE = 10800000
-- What the latest calls came to, whatever that says of the breaker: an operator is told of a run of refusals.
local LATELY = 10

local r = redis.call('HMGET', channel, 'ring', 'open', 'spell', 'probe', 'probed', 'at', 'n', 'ok', 'lat', 'lately')
local ring, open, spell, probe, probed = r[1] or '', r[2], tonumber(r[3] or 0), r[4], tonumber(r[5] or 0)
local happened = ''

local function open_for(ms)
  spell = math.min(ms, LONGEST_SPELL)
  redis.call('HSET', channel, 'open', int(now + math.max(spell, rest)), 'spell', int(spell), 'probed', 0)
  redis.call('HDEL', channel, 'ring', 'probe', 'probe_until')
end

if open then
  -- Calls that were begun before it opened say nothing new; the probe does.
  if holder ~= '' and holder == probe and verdict ~= 'neutral' then
    redis.call('HDEL', channel, 'probe', 'probe_until')
    if verdict == 'bad' or verdict == 'silent' then
      open_for(spell * 2)
    elseif probed + 1 >= PROBES then
      redis.call('HDEL', channel, 'open', 'spell', 'probed')
      happened = 'closed'
    else
      redis.call('HSET', channel, 'probed', probed + 1)
    end
  elseif holder ~= '' and holder == probe then
    redis.call('HDEL', channel, 'probe', 'probe_until')
  end
elseif verdict ~= 'neutral' then
  if now - tonumber(r[6] or now) > FORGET then ring = '' end
  ring = string.sub(ring .. MARKS[verdict], -RING)
  local _, bad = string.gsub(ring, 'x', '')
  local row = #string.match(ring, 'x*$')
  redis.call('HSET', channel, 'ring', ring)
  if row >= ROW or (#ring == RING and bad >= MOST_BAD) then
    open_for(FIRST_SPELL)
    happened = 'opened'
  end
end
-- The time that it asks for counts whenever it says so: also late, when its silence was counted before.
if rest > 0 then redis.call('HSET', channel, 'rest', int(now + rest)) end

if verdict ~= 'neutral' then
  local fade = math.pow(0.5, math.max(now - tonumber(r[6] or now), 0) / HALF_LIFE)
  local function faded(old, add) return string.format('%.6g', tonumber(old or 0) * fade + add) end
  redis.call('HSET', channel, 'at', int(now), 'n', faded(r[7], 1), 'ok', faded(r[8], verdict == 'good' and 1 or 0),
    'lat', faded(r[9], took))
end
if words ~= '' then redis.call('HSET', channel, 'words', words, 'words_at', int(now)) end

if label ~= '' then
  -- Latencies in powers of the square root of two: quantiles to 20 %.
  local step = took <= 1 and 0 or math.ceil(math.log(took) / math.log(2) * 2)
  local kept, lately = 1, label
  for one in string.gmatch(r[10] or '', '%S+') do
    kept = kept + 1
    if kept <= LATELY then lately = lately .. ' ' .. one end
  end
  redis.call('HSET', channel, 'lately', lately, 'lately_at', int(now))
  redis.call('HINCRBY', figures, label, 1)
  if redis.call('HINCRBY', figures, 'ms:' .. int(step), 1) == 1 then redis.call('PEXPIRE', figures, FIGURES_LIFE) end
end
return {happened, int(now), standing(channel)}
