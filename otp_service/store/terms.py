"""What a send is held against, as `lua/sends.lua` reads it, and what start and resend answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from otp_service.ports import (
    Approval,
    Disabled,
    Full,
    Guarded,
    GuardTerms,
    Missing,
    Moved,
    Refused,
    SendTerms,
    Sent,
    Suppressed,
    Suspicious,
)
from otp_service.pumping import Level, Suspicion
from otp_service.store.line import Arguments
from otp_service.store.rows import Reply, row, text

_OF_THE_GUARD = 9
"""Terms of it that `sends.lua` names."""


def arguments_of(terms: SendTerms) -> Arguments:
    """In the order of TERMS in `sends.lua`."""
    counter, digest = terms.rotated or ("", b"")
    return [
        terms.nonce,
        terms.windows,
        terms.prefix_windows,
        terms.cooldowns,
        terms.max_sends,
        terms.outbox_max,
        terms.disable_after,
        int(terms.queue),
        terms.channel,
        terms.avoid,
        terms.device,
        terms.prior.limit,
        terms.prior.wait,
        counter,
        digest,
        " ".join(terms.route),
        terms.request_id,
        int(terms.wait),
        *_guard(terms.guard),
        len(terms.channel_windows),
        *(windows for _, windows in terms.channel_windows),
    ]


def _guard(guard: GuardTerms | None) -> Arguments:
    if guard is None:
        return [""] * _OF_THE_GUARD
    held = guard.held
    return [
        guard.terms,
        guard.mode,
        int(guard.excused),
        guard.region,
        held.reason if held else "",
        held.until if held else "",
        guard.kid,
        guard.mask,
        guard.prefix,
    ]


def answered(reply: Reply) -> Sent:
    """Raises Full, Suppressed, Missing."""
    match reply[0]:
        case b"refused":
            return Refused(text(reply[1]), int(reply[2]), row(reply[3]) if reply[3] else None, guarded(reply[4:]))
        case b"suspicious":
            return Suspicious(int(reply[1]), guarded(reply[2:]))
        case b"moved":
            return Moved(text(reply[1]))
        case b"full":
            raise Full
        case b"suppressed":
            raise Suppressed
        case b"disabled":
            return Disabled(row(reply[1]) if reply[1] else None)
        case b"missing":
            raise Missing
    return row(reply, guarded(reply[3:]))


def guarded(rest: Sequence[Any]) -> Guarded | None:
    """What the guard said, where the reply's rest holds that."""
    if not rest or not rest[0]:
        return None
    noted, level, reason, began = map(text, rest[0])
    return Guarded(noted, Level(level) if level else None, Suspicion(reason) if reason else None, began)


def approval(said: Any) -> Approval | None:
    if not said:
        return None
    noted, region, ends, sends = map(text, said)
    return Approval(noted, region, int(ends), int(sends))
