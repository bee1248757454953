-- Shared by start, resend and check: what the pumping guard has to say of them, and what it counts.

-- How many blocked prefixes of a partition are listed for those who look.
local GUARDED = 1000

-- What the guard says of one more send; nil where it has nothing to say. Recipients that were approved here pass.
local function guard_look(k, now, a)
  if a.guard == '' then return nil end
  local v = {noted = 'known', level = '', reason = '', wait = 0, began = ''}
  if k.is_approved then return v end
  v.terms = guard_terms(a.guard)
  local g = guard_settle(k.guard, now, v.terms)
  v.noted = g.is_proven and 'proven' or 'new'
  v.reason, v.wait = guard_ruling(g, now, v.terms)
  if v.reason ~= '' then
    v.level = 'prefix'
  elseif not g.is_proven and a.held ~= '' and tonumber(a.held_until) > now then
    v.level, v.reason, v.wait = 'country', a.held, a.held_until - now
  end
  if g.began then
    v.began = redis.call('HGET', k.guard, 'why')
    redis.call('HSET', k.guard, 'kid', a.guard_kid, 'mask', a.guard_mask)
    redis.call('ZREMRANGEBYSCORE', k.guarded, '-inf', now)
    redis.call('ZADD', k.guarded, g['until'], a.guard_name)
    redis.call('ZREMRANGEBYRANK', k.guarded, 0, -GUARDED - 1)
    redis.call('PEXPIRE', k.guarded, v.terms.longest)
  end
  return v
end

-- The limit that refuses a send, and its wait, the guard included; the longest wait wins.
local function guard_refuses(v, a, limit, wait)
  if not v or v.reason == '' then return limit, wait end
  if a.guard_mode == 'block' and v.wait > wait then return v.level, v.wait end
  -- Another limit refuses it: then this is not the guard's finding.
  if wait > 0 then v.level, v.reason = '', '' end
  return limit, wait
end

local function guard_said(v)
  return v and {v.noted, v.level, v.reason, v.began} or false
end

-- What a record says of its sends: what the first was noted as and where, how many the prefix counts, and the pool.
local function guard_noted(r)
  local noted, region, counted, pooled = string.match(r[F.guard] or '', '^(%S+) (%S+) (%d+) (%d+)$')
  return noted, region, tonumber(counted or 0), tonumber(pooled or 0)
end

-- Count a send of a verification that is over at `ends`. What a guard that only watches would have refused is, to it,
-- as if it had not been sent.
local function guard_count(k, v, a, ends)
  if not v then return end
  if v.reason ~= '' and a.excused ~= '1' then
    v.noted = ''
    return
  end
  local mine, pooled = v.noted ~= 'known', v.noted == 'new'
  local noted, region, counted, of_pool = guard_noted(k.r)
  put(k, {F.guard, table.concat({noted or v.noted, region or a.region, int(counted + (mine and 1 or 0)),
    int(of_pool + (pooled and 1 or 0))}, ' ')})
  if mine then guard_send(k.guard, ends, 1, v.terms) end
end

-- The verification of this record was approved: what whoever keeps count of countries is to note, false for nothing.
local function guard_approved(k, now, text)
  local noted, region, counted, pooled = guard_noted(k.r)
  if text == '' or not noted then return false end
  local t, ends = guard_terms(text), k.r[F.expires]
  if counted > 0 then
    guard_approve(k.guard, guard_settle(k.guard, now, t), now, ends, counted, t)
  else
    redis.call('HSET', k.guard, 'proven', now)
    redis.call('PEXPIRE', k.guard, t.window)
  end
  return {pooled > 0 and 'new' or noted, region, ends, int(pooled)}
end
