-- Shared by what puts a send into the outbox: start, resend, wake, report.

-- How long an open send is left alone before somebody looks whether its entry still exists.
local LOOK_AGAIN = 30000

-- `due` has one member for each pending verification, at the moment at which somebody must look at it: while its send is
-- open whether the entry of that still exists, and at its end.
local function look_at(k, id, moment)
  redis.call('ZADD', k.due, math.min(moment, k.r[F.expires]), 'e:' .. id)
end

local function queue(k, id, send, now)
  local r = k.r
  local entry = redis.call('XADD', k.outbox, '*', 'id', id, 'send', send, 'at', r[F.asked] or r[F.created],
    'route', r[F.route] or '', 'avoid', r[F.avoid] or '', 'rid', r[F.rid] or '')
  put_entry(k, entry)
  look_at(k, id, now + LOOK_AGAIN)
end

-- Sends that wait or are worked on, in the outbox or for their next round.
local function is_full(k, most)
  return redis.call('XLEN', k.outbox) + redis.call('ZCARD', k.later) >= most
end
