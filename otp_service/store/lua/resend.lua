-- Send again, by id. The caller read the record to name the scope and the recipient; everything is judged again here.
-- KEYS: scope, record, recipient window, outbox, due
-- ARGV: nonce, id, client, windows, cooldowns, max_sends, outbox_max, channel, queue, prior_limit, prior_wait, digest, counter, avoid
local scope, record, recipient, outbox, due = unpack(KEYS)
local nonce, id, client, windows, cooldowns, max_sends, outbox_max, channel, queue = unpack(ARGV, 1, 9)
local prior_limit, prior_wait, digest, counter = ARGV[10], tonumber(ARGV[11]), ARGV[12], ARGV[13]
local now = clock()

local again = replay(record, nonce)
if again then return again end
if redis.call('HGET', record, 'client') ~= client then return {'missing'} end
local status = status_of(record, due, id, now)
if status ~= 'pending' then return snapshot(status, now, record) end

local r = redis.call('HMGET', record, 'expires', 'sends', 'counter')
if r[1] - now < MIN_LIFE_TO_RESEND then return snapshot('expired', now, record) end
if digest ~= '' and r[3] + 1 ~= tonumber(counter) then return {'moved'} end

local sends = tonumber(r[2])
local refusals = {
  {'cooldown', (tonumber(redis.call('HGET', scope, 'until') or 0)) - now},
  {'recipient', wait_for(recipient, now, windows)},
  {prior_limit, prior_wait},
}
if sends >= tonumber(max_sends) then refusals[4] = {'sends', r[1] - MIN_LIFE_TO_RESEND - now + 1} end
local limit, wait = longest(refusals)
if wait > 0 then return {'refused', limit, int(wait), snapshot('pending', now, record)} end
if redis.call('XLEN', outbox) >= tonumber(outbox_max) then return {'full'} end

if digest ~= '' then redis.call('HSET', record, 'counter', counter, 'd' .. counter, digest) end
local a = {nonce = nonce, windows = windows, cooldowns = cooldowns, channel = channel, queue = queue,
  avoid = ARGV[14]}
send({record = record, scope = scope, recipient = recipient, outbox = outbox}, now, id, sends + 1, a)
return remember('resent', now, record, nonce)
