-- Shared by what puts a send into the outbox: start, resend, wake, report.

-- How long an open send is left alone before somebody looks whether its entry still exists.
local LOOK_AGAIN = 30000

-- `later` has one member for each open send: the moment at which somebody must look at it. Its size bounds the outbox.
local function queue(k, id, send, now)
  local r = k.r
  local entry = redis.call('XADD', k.outbox, '*', 'id', id, 'send', send, 'at', r[F.asked] or r[F.created],
    'route', r[F.route] or '', 'avoid', r[F.avoid] or '', 'rid', r[F.rid] or '')
  put(k, {F.entry, entry})
  redis.call('ZADD', k.later, now + LOOK_AGAIN, send .. ':' .. id)
end
