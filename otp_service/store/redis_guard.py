"""`RedisGuard`: the GuardLedger and GuardBook of `ports`. The decisions are in `lua/pumping.lua`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import redis
from redis.exceptions import NoScriptError

from otp_service.keyring import PARTITIONS
from otp_service.ports import Countries, HeldRange, HeldRanges, Hold, Noted
from otp_service.pumping import Level, Suspicion, Terms
from otp_service.store.connection import asked
from otp_service.store.keys import Keys
from otp_service.store.parts import Ask, in_parts, of_partitions
from otp_service.store.rows import text
from otp_service.store.scripts import SCRIPTS as DEFAULT_SCRIPTS
from otp_service.store.scripts import Script


class RedisGuard:
    """Threads share one."""

    def __init__(
        self, client: redis.Redis, prefix: str = "otp", scripts: Mapping[str, Script] = DEFAULT_SCRIPTS
    ) -> None:
        self._client = client
        self._keys = Keys(prefix)
        self._scripts = scripts

    # --- the ledger -----------------------------------------------------------------------------------------------

    def countries(self, noted: Noted, looked_at: frozenset[str], terms: Terms) -> Countries:
        """Repeated where a reply was lost: to know too much of a country is the lesser harm."""
        sends, approvals = defaultdict(list), defaultdict(list)
        for (region, ends), count in noted.sends.items():
            sends[region].append(f"{ends}:{count}")
        for region, ends, count in noted.approvals:
            approvals[region].append(f"{ends}:{count}")
        regions = sorted(noted.regions | looked_at)
        keys = [self._keys.guard_control(), self._keys.guard_held(), *map(self._keys.guarded_country, regions)]
        arguments: list[str | int] = [terms.text, noted.known_sends, noted.known_approvals]
        for region in regions:
            arguments += (region, " ".join(sends[region]), " ".join(approvals[region]))
        now, known_sends, known_approvals, held = self._run("pools", keys, arguments)
        return Countries(int(now), dict(_held(held)), int(known_sends), int(known_approvals))

    # --- the book -------------------------------------------------------------------------------------------------

    def held(self) -> HeldRanges:
        def partition(number: int) -> Ask:
            return lambda pipeline: pipeline.zrange(self._keys.guarded(number), 0, -1, withscores=True)

        parts: list[Ask] = [lambda pipeline: pipeline.hgetall(self._keys.guard_held())]
        now, (countries, *names) = in_parts(self._client, self._now, [*parts, *map(partition, range(PARTITIONS))])
        unknown = [*of_partitions("prefixes that look pumped", names)]
        unknown += ["countries that look pumped"] if countries is None else []
        held = _held(next(countries) if countries else {})
        found = [HeldRange(Level.COUNTRY, name, one) for name, one in held if one.until > now]
        for number, of_partition in enumerate(names):
            for name, until in next(of_partition) if of_partition else ():
                found += [one] if until > now and (one := self._prefix(number, text(name))) else []
        return HeldRanges(sorted(found, key=lambda one: one.held.since), unknown)

    def _now(self, pipeline: Any) -> None:
        pipeline.eval(self._scripts["now"].text, 0)

    def _prefix(self, partition: int, name: str) -> HeldRange | None:
        key = self._keys.guarded_prefix(partition, name)
        until, since, why, kid, mask = asked(lambda: self._client.hmget(key, "until", "since", "why", "kid", "mask"))
        if not (until and since and kid and mask):
            return None
        held = Hold(Suspicion.CONVERSION, int(until), int(since), text(why or b""))
        return HeldRange(Level.PREFIX, name, held, partition, text(kid), mask)

    def lift(self, range: HeldRange) -> bool:
        if range.level is Level.COUNTRY:
            asked(lambda: self._client.delete(self._keys.guarded_country(range.name)))
            return bool(asked(lambda: self._client.hdel(self._keys.guard_held(), range.name)))
        key = self._keys.guarded_prefix(range.partition, range.name)
        asked(lambda: self._client.delete(key))
        return bool(asked(lambda: self._client.zrem(self._keys.guarded(range.partition), range.name)))

    # --- the one way to Redis -------------------------------------------------------------------------------------

    def _run(self, name: str, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
        script = self._scripts[name]

        def ask() -> Any:
            try:
                return self._client.evalsha(script.sha, len(keys), *keys, *arguments)
            except NoScriptError:
                return self._client.eval(script.text, len(keys), *keys, *arguments)

        return asked(ask)


def _held(reply: Any) -> Iterator[tuple[str, Hold]]:
    """The hash of what is held: name, `reason until since approved/ended`."""
    pairs = reply.items() if isinstance(reply, Mapping) else zip(reply[::2], reply[1::2], strict=True)
    for name, value in pairs:
        reason, until, since, tally = text(value).split(" ")
        yield text(name), Hold(Suspicion(reason), int(until), int(since), tally)
