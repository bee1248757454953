"""Live verifications by the million: copies, made within Redis, of real ones under other ids and names.

The start script itself would take minutes for a million; copies of its keys cost a tenth of it, and are as large.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import redis
from _ground import SHOP
from _installation import Installation
from _recording import recorded, shas

from otp_service.calls import Asking, StartRequest
from otp_service.store.wire import Words

TEMPLATES = 200
"""Real starts that are copied, of as many prefixes, so that they lie in all partitions."""
TO_A_PREFIX = 10
"""Recipients that share a prefix."""
_BATCH = 500
_COPY = """
-- KEYS: the outbox and due of a partition, then what start.lua wrote for one verification alone
-- ARGV: its id, the first number of the copies, how many, its key of the prefix, how many share a prefix
local id, first, count, prefix, sharing = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
local function named(key, n)
  local head, name = string.match(key, '^(.*:)(.-)$')
  if name == id then return head .. string.format('ver_%034d', n) end
  return head .. string.format('%0' .. #name .. 'x', n)
end
local entry = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1][2]
local due = redis.call('ZSCORE', KEYS[2], 'e:' .. id)
local sent = redis.call('ZRANGE', prefix, 0, 0, 'WITHSCORES')
local life = redis.call('PTTL', prefix)
for n = first, first + count - 1 do
  for i = 3, #KEYS do redis.call('COPY', KEYS[i], named(KEYS[i], n)) end
  local shared = named(prefix, math.floor(n / sharing))
  redis.call('ZADD', shared, sent[2], string.format('%0' .. #sent[1] .. 'x', n))
  redis.call('PEXPIRE', shared, life)
  redis.call('XADD', KEYS[1], '*', unpack(entry))
  redis.call('ZADD', KEYS[2], due, string.format('e:ver_%034d', n))
end
return count
"""


@dataclass(frozen=True)
class Template:
    """A real verification in Redis, by the keys that start.lua was given for it."""

    id: str
    shared: tuple[str, ...]
    """outbox, due."""
    own: tuple[str, ...]
    prefix: str

    @classmethod
    def of(cls, asked: Words, connection: redis.Redis) -> Template:
        """From the call of start.lua; the order of its keys is that of start.lua and sends.lua."""
        keys = [str(key) for key in asked[3 : 3 + int(asked[2])]]
        id = keys[1].rpartition(":")[2]
        prefix, shared = keys[10], (keys[5], keys[7])
        beside = {*shared, prefix, keys[14], keys[8], keys[15]}  # a prefix's test by the guard; events; what it holds
        own = tuple(key for key in dict.fromkeys(keys) if key not in beside and connection.exists(key))
        return cls(id, shared, own, prefix)


def fill(installation: Installation, size: int) -> None:
    """So many live verifications, of which the first are real."""
    made = _templates(installation)
    copy = installation.redis.register_script(_COPY)
    each = -(-(size - len(made)) // len(made) // TO_A_PREFIX) * TO_A_PREFIX
    done, wanted = 0, size - len(made)
    while done < wanted:
        template = made[done // each]
        count = min(_BATCH, wanted - done, each - done % each)
        done += int(copy((*template.shared, *template.own), (template.id, done, count, template.prefix, TO_A_PREFIX)))


def _templates(installation: Installation) -> list[Template]:
    verifier, recorder = recorded(installation.config)
    numbers = [body["to"] for _, body in installation.starts(TEMPLATES)]
    with recorder.watching(shas(installation.config, "start")[0]) as asked:
        for number in numbers:
            # As every request has an id, and both record and outbox keep it.
            asking = Asking(request_id=secrets.token_hex(8))
            verifier.start(SHOP, StartRequest(to=number, purpose="login", asking=asking))
    return [Template.of(words, installation.redis) for words in asked]
