-- Start, or resend while one is pending. The record of the new one, or of the pending one, is named by the caller,
-- who learnt the pending id from `moved`: no key is computed here.
-- KEYS: scope, new record, current record, recipient window, outbox, due
-- ARGV: see `_start_arguments`
local scope, new, current, recipient, outbox, due = unpack(KEYS)
local nonce, id, expected, context, deliver, ttl, max_sends, outbox_max = unpack(ARGV, 1, 8)
local prior_limit, prior_wait, digest, counter = ARGV[9], tonumber(ARGV[10]), ARGV[11], ARGV[12]
local a = {nonce = nonce, windows = ARGV[13], cooldowns = ARGV[14], channel = ARGV[15], queue = ARGV[16],
  avoid = ''}
local now = clock()

local again = replay(new, nonce) or replay(current, nonce)
if again then return again end

local s = redis.call('HMGET', scope, 'id', 'until')
if (s[1] or '') ~= expected then return {'moved', s[1] or ''} end

local pending = expected ~= '' and status_of(current, due, expected, now) == 'pending'
local reuse, sends = false, 0
if pending then
  local r = redis.call('HMGET', current, 'context', 'deliver', 'expires', 'sends', 'counter')
  reuse = r[1] == context and r[2] == deliver and r[3] - now >= MIN_LIFE_TO_RESEND
  sends = tonumber(r[4])
  if reuse and digest ~= '' and r[5] + 1 ~= tonumber(counter) then return {'moved', expected} end
end

local refusals = {
  {'cooldown', (tonumber(s[2] or 0)) - now},
  {'recipient', wait_for(recipient, now, a.windows)},
  {prior_limit, prior_wait},
}
if reuse and sends >= tonumber(max_sends) then
  refusals[4] = {'sends', redis.call('HGET', current, 'expires') - MIN_LIFE_TO_RESEND - now + 1}
end
local limit, wait = longest(refusals)
if wait > 0 then
  return {'refused', limit, int(wait), pending and snapshot('pending', now, current) or false}
end
if redis.call('XLEN', outbox) >= tonumber(outbox_max) then return {'full'} end

if reuse then
  -- Everything is checked: from here on nothing may fail.
  if digest ~= '' then redis.call('HSET', current, 'counter', counter, 'd' .. counter, digest) end
  send({record = current, scope = scope, recipient = recipient, outbox = outbox}, now, expected, sends + 1, a)
  return remember('resent', now, current, nonce)
end

if pending then finish(current, due, expected, now, 'canceled') end
redis.call('HSET', new, 'status', 'pending', 'attempts', 0, 'counter', 0, 'valid_from', 0, 'valid_to', 0,
  'created', int(now), 'expires', int(now + ttl), 'context', context, 'deliver', deliver, unpack(ARGV, 17))
redis.call('PEXPIRE', new, int(ttl + TOMBSTONE))
redis.call('ZADD', due, int(now + ttl), 'e:' .. id)
send({record = new, scope = scope, recipient = recipient, outbox = outbox}, now, id, 1, a)
return remember('created', now, new, nonce)
