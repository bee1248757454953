-- Shared by what puts a send into the outbox: start, resend, wake, report.

-- How long an open send is left alone before somebody looks whether its entry still exists.
local LOOK_AGAIN = 30000

-- `later` has one member for each open send: the moment at which somebody must look at it. Its size bounds the outbox.
local function queue(k, id, send, now)
  local r = redis.call('HMGET', k.record, F.route, F.who, F.avoid, F.rid, F.asked, F.created)
  local entry = redis.call('XADD', k.outbox, '*', 'id', id, 'send', send, 'at', r[5] or r[6],
    'route', r[1] or '', 'who', r[2] or '', 'avoid', r[3] or '', 'rid', r[4] or '')
  redis.call('HSET', k.record, F.entry, entry)
  redis.call('ZADD', k.later, int(now + LOOK_AGAIN), send .. ':' .. id)
end
