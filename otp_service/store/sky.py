"""From replies to `Sky`: how channels stand, and what is paused. The order is that of STANDING in `lua/common.lua`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from otp_service.ports import Change, Pauses, Sky, Standing
from otp_service.store.rows import text

ALL_SENDS = "sends"
REGION = "region:"
PREFIX = "prefix:"
"""Fields of the hash of pauses; its values are the moment at which one ends, when it began, and who said so."""


def standing(fields: Sequence[bytes | None]) -> Standing:
    moments = [int(value or 0) for value in fields[:5]]
    sums = [float(value or 0) for value in fields[5:12]]
    heard = tuple((int(one[:-1]), one.endswith("+")) for one in text(fields[12] or b"").split())
    open_until, probe_until, rest, paused, at = moments
    calls, accepted, took_ms, reported, delivered, finished, approved = sums
    return Standing(
        open_until,
        probe_until,
        rest,
        paused,
        calls,
        accepted,
        took_ms,
        reported,
        delivered,
        finished,
        approved,
        at,
        heard,
    )


def noted(reply: Any) -> tuple[Change, Standing]:
    return Change(text(reply[0])), standing(reply[2])


def read_sky(channels: Sequence[str], replies: Sequence[Any], pauses: Any) -> Sky:
    """`replies` are those of `standing.lua`, one a channel; with no channels the moment is unknown and 0."""
    now = max((int(reply[1]) for reply in replies), default=0)
    return Sky(now, {name: standing(reply[2]) for name, reply in zip(channels, replies, strict=True)}, paused(pauses))


def paused(reply: Any) -> Pauses:
    pairs = reply.items() if isinstance(reply, Mapping) else zip(reply[::2], reply[1::2], strict=True)
    fields = {text(name): int(value.split(b" ", 1)[0]) for name, value in pairs}
    return Pauses(
        everything=fields.get(ALL_SENDS, 0),
        regions={name.removeprefix(REGION): until for name, until in fields.items() if name.startswith(REGION)},
        prefixes={name.removeprefix(PREFIX): until for name, until in fields.items() if name.startswith(PREFIX)},
    )
