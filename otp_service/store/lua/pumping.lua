-- Shared by what counts for the pumping guard. `otp_service/pumping.py` says why; `Record` there does the same as this.

local function guard_terms(text)
  local bar, floor, begin, hit, miss, charge, usual, block, probation, window, slot, growth, longest, recent =
    string.match(text, '(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)')
  return {bar = tonumber(bar), floor = tonumber(floor), begin = tonumber(begin), hit = tonumber(hit),
    miss = tonumber(miss), charge = tonumber(charge), usual = tonumber(usual), block = tonumber(block),
    probation = tonumber(probation), window = tonumber(window), slot = tonumber(slot), growth = tonumber(growth),
    longest = tonumber(longest), recent = tonumber(recent)}
end

-- What is known of a range, on `window` milliseconds after its last send nothing. Open sends are fields `o<slot>`,
-- approvals of the last minutes `h<slot>`. What has ended is charged; `began` says that this began a block.
local function guard_settle(key, now, t)
  local g = {score = t.begin, missed = 0, approved = 0, blocks = 0, ['until'] = 0, proven = 0, lately = 0}
  local open, recent, missed, first, fields = 0, 0, 0, nil, redis.call('HGETALL', key)
  local here = math.floor(now / t.slot)
  for i = 1, #fields, 2 do
    local name, value = fields[i], tonumber(fields[i + 1])
    local kind, slot = string.match(name, '^([oh])(%d+)$')
    slot = tonumber(slot)
    if kind == 'o' and slot * t.slot > now then
      open, first = open + value, math.min(first or slot, slot)
    elseif kind == 'h' and slot > here - t.recent then
      recent = recent + value
      if slot == here then g.lately = value end
    elseif kind then
      redis.call('HDEL', key, name)
      if kind == 'o' then missed = missed + value end
    elseif g[name] then
      g[name] = value
    end
  end
  g.score, g.missed = g.score + missed * t.charge, g.missed + missed
  if g['until'] <= now and g.score >= t.bar then
    g['until'] = now + math.min(t.block * t.growth ^ g.blocks, t.longest)
    redis.call('HSET', key, 'why', int(g.approved) .. '/' .. int(g.approved + g.missed), 'since', int(now))
    g.score, g.blocks, g.missed, g.approved = t.bar - t.probation * t.miss, g.blocks + 1, 0, 0
    for i = 1, #fields, 2 do
      if string.match(fields[i], '^o%d+$') then redis.call('HDEL', key, fields[i]) end
    end
    open, missed, g.began = 0, 1, true
  end
  if missed > 0 then
    redis.call('HSET', key, 'score', int(g.score), 'missed', int(g.missed), 'approved', int(g.approved),
      'blocks', int(g.blocks), 'until', int(g['until']))
    -- A hash whose last field went lost its time to live with it.
    redis.call('PEXPIRE', key, int(t.window))
  end
  g.unusual, g.first = open - math.floor(recent * t.usual / 1000), first
  g.is_proven = g.proven > 0 and now - g.proven < t.window
  return g
end

-- Why one more send should not be made, and for how many milliseconds; '' and 0 when it may.
local function guard_ruling(g, now, t)
  if g['until'] > now then return 'conversion', g['until'] - now end
  if g.unusual > 0 and g.score + g.unusual * t.miss >= t.bar then return 'first_seen', g.first * t.slot - now end
  return '', 0
end

-- Count sends that are over at `ends`.
local function guard_send(key, ends, sends, t)
  redis.call('HINCRBY', key, 'o' .. int(math.ceil(ends / t.slot)), sends)
  redis.call('PEXPIRE', key, int(t.window))
end

-- One verification was approved: its `sends` are no longer open, and it is one of the last minutes.
local function guard_approve(key, g, now, ends, sends, t)
  local slot = 'o' .. int(math.ceil(ends / t.slot))
  if redis.call('HINCRBY', key, slot, -sends) <= 0 then redis.call('HDEL', key, slot) end
  g.score = math.max(t.floor, g.score - t.hit)
  if g.score <= t.begin then g.blocks = 0 end
  g.approved, g.proven, g.lately = g.approved + 1, now, g.lately + 1
  redis.call('HSET', key, 'score', int(g.score), 'blocks', int(g.blocks), 'approved', int(g.approved),
    'proven', int(now), 'h' .. int(math.floor(now / t.slot)), int(g.lately))
  redis.call('PEXPIRE', key, int(t.window))
end
