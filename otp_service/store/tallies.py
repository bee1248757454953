"""What is counted of one recipient, and how to forget it: for an operator, not on a request's path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import redis

from otp_service.policy import Window
from otp_service.ports import Origin, RecipientLimits, Tally
from otp_service.store.connection import asked
from otp_service.store.fields import RECORD
from otp_service.store.keys import Keys
from otp_service.store.rows import text
from otp_service.store.scripts import SCRIPTS


class RedisTallies:
    """Both methods raise StoreDown."""

    def __init__(self, client: redis.Redis, prefix: str = "otp") -> None:
        self._client = client
        self._keys = Keys(prefix)

    def show(self, origin: Origin, limits: RecipientLimits) -> tuple[int, Sequence[Tally]]:
        """Redis's clock, and each window with what is in it; of one client."""
        counted = list(self._windows(origin, limits))
        pipeline = self._client.pipeline(transaction=False)
        pipeline.eval(SCRIPTS["now"].text, 0)
        pipeline.get(self._keys.failed(origin.partition, origin.owner))
        for _, _, key, _ in counted:
            pipeline.zrange(key, 0, -1, withscores=True)
        now, failed, *windows = asked(pipeline.execute)
        shown = [
            _tally(limit, client, window, [int(score) for _, score in members], int(now))
            for (limit, client, _, window), members in zip(counted, windows, strict=True)
        ]
        in_a_row = Tally("disable_after", origin.client, int(failed or 0), limits.disable_after, 0, 0)
        return int(now), [*shown, in_a_row]

    def clear(self, origin: Origin, limits: RecipientLimits, *, with_prefix: bool) -> None:
        """Forget sends, wrong codes and cooldowns of one recipient and client; `with_prefix`: its neighbours' too."""
        keys, partition, owner = self._keys, origin.partition, origin.owner
        gone = {key for limit, _, key, _ in self._windows(origin, limits) if with_prefix or limit != "prefix"}
        devices = [text(one) for one in asked(self._client.zrange, keys.devices(partition, owner), 0, -1)]
        gone |= {keys.failed(partition, owner), *(keys.device_failures(partition, owner, one) for one in devices)}
        listed = asked(self._client.lrange, keys.recent(partition, owner), 0, -1)
        their_own = [asked(self._client.hget, keys.record(partition, text(id)), RECORD["scope"]) for id in listed]
        for scope in sorted({*origin.scopes, *map(text, filter(None, their_own))}):
            # The scope still names what pends; only its cooldown goes, and the row of sends behind it.
            asked(self._client.eval, SCRIPTS["cool"].text, 1, keys.scope(partition, scope))
        asked(self._client.delete, *sorted(gone))

    def _windows(self, origin: Origin, limits: RecipientLimits) -> Iterator[tuple[str, str, str, Window]]:
        keys, partition = self._keys, origin.partition
        kept = [
            ("recipient", "", keys.recipient(partition, origin.recipient), limits.recipient),
            ("failures", origin.client, keys.failures(partition, origin.owner), limits.failures),
            ("prefix", "", keys.prefix(partition, origin.prefix), limits.prefix),
            *(
                (f"channel:{name}", "", keys.recipient_at(partition, name, origin.recipient), windows)
                for name, windows in limits.channels.items()
            ),
        ]
        for limit, client, key, windows in kept:
            for window in windows:
                yield limit, client, key, window


def _tally(limit: str, client: str, window: Window, moments: Sequence[int], now: int) -> Tally:
    span = window.seconds * 1000
    inside = sorted(moment for moment in moments if moment + span > now)
    frees = inside[-window.count] + span if len(inside) >= window.count else 0
    return Tally(limit, client, len(inside), window.count, window.seconds, frees)
