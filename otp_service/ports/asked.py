"""What the `Store` is asked: everything that a transition is held against, and all that it may write down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from otp_service.keyring import VerificationId
from otp_service.ports.guard import GuardTerms


@dataclass(frozen=True, slots=True)
class Bucket:
    """What sends are counted for on another partition than their recipient's."""

    limit: str
    """As the API names it: `client_ip`, `session`, …"""
    name: str
    """A keyed hash, or the plain name of a client or a region."""


@dataclass(frozen=True, slots=True)
class Charge:
    """One count of a bucket: by number of sends in rolling windows, or by money within 24 hours."""

    bucket: Bucket
    windows: str = ""
    cap: int = 0
    """Millionths of the currency, as `price`."""
    price: int = 0


@dataclass(frozen=True, slots=True)
class Prior:
    """A refusal that stands already, by a window on another partition: the longest wait wins."""

    limit: str = ""
    wait: int = 0


class SendTerms(NamedTuple):
    """What start and resend hold a send against."""

    nonce: str
    """Names this request: asked again with the same nonce, it counts once."""
    owner: str
    """Names the client and the recipient."""
    windows: str
    """The recipient's, as `5/3600000 10/86400000`; empty for no limit."""
    prefix_windows: str
    disable_after: int
    cooldowns: str
    max_sends: int
    outbox_max: int
    queue: bool
    """False for a test number: nothing is ever queued."""
    channel: str = ""
    avoid: str = ""
    route: tuple[str, ...] = ()
    """Names of the channels that may carry it."""
    channel_windows: tuple[tuple[str, str], ...] = ()
    """Channel and windows, where every channel of the route has some that refuse; else nothing."""
    request_id: str = ""
    wait: bool = False
    """Somebody will ask for the first outcome of this send."""
    device: str = ""
    """Keyed hash; a known one may use what of the recipient's windows is kept for it."""
    prior: Prior = Prior()
    guard: GuardTerms | None = None
    """The pumping guard's; None where it has nothing to say."""
    rotated: tuple[int, bytes] | None = None
    """Counter and digest of the new code, where the purpose rotates."""


class NewRecord(NamedTuple):
    """A verification to be. Only what is set here can ever be at rest."""

    id: VerificationId
    scope: str
    """Names "the four" that it belongs to."""
    in_session: bool
    ttl: int
    """Milliseconds."""
    context: str
    deliver: bool
    fields: Mapping[str, str | bytes | int]


class Attempt(NamedTuple):
    """One check, as the store sees it."""

    id: VerificationId
    client: str
    owner: str
    """Names the client and the recipient."""
    nonce: str
    windows: str
    disable_after: int
    device: str
    """Keyed hash; a known one has an allowance of wrong codes of its own. Empty for none."""
    purpose: str
    bindings: str
    code_length: int
    braked: int
    """Milliseconds for which only a known device may check."""
    wrong: bool
    """True when it can't be right, whatever the code: it counts as a wrong code."""
    digests: Sequence[tuple[str, bytes]]
    """One a secret key: (kid, digest)."""
    guard: str = ""
    """The pumping guard's terms, as scripts read them; empty while it is off."""
