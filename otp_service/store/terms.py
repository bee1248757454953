"""What a send is held against, as `lua/sends.lua` reads it, and what start and resend answer."""

from __future__ import annotations

from otp_service.ports import Disabled, Full, Missing, Moved, Refused, SendTerms, Sent, Suppressed
from otp_service.store.line import Arguments
from otp_service.store.rows import Reply, row, text


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
        len(terms.channel_windows),
        *(windows for _, windows in terms.channel_windows),
    ]


def answered(reply: Reply) -> Sent:
    """Raises Full, Suppressed, Missing."""
    match reply[0]:
        case b"refused":
            return Refused(text(reply[1]), int(reply[2]), row(reply[3]) if reply[3] else None)
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
    return row(reply)
