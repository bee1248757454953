"""What an operator sees of the installation, and what an operator may do to it. Moments are milliseconds, Redis's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from otp_service.keyring import VerificationId
from otp_service.policy import Window
from otp_service.ports.standing import Standing


@dataclass(frozen=True, slots=True)
class WorkerSign:
    """What a worker says of itself every few seconds."""

    name: str
    version: str
    up_ms: int
    """How long it has worked."""
    in_flight: int
    done: int
    """Sends that it has dealt with since its start."""
    seen: int = 0
    """When it last said so."""


class Presence(Protocol):
    """Where workers say that they live. Both methods raise `StoreDown`."""

    async def beat(self, sign: WorkerSign) -> None: ...

    async def leave(self, name: str) -> None:
        """Said by a worker that has stopped in order: nobody need wait for its sign to age."""
        ...


@dataclass(frozen=True, slots=True)
class QueueState:
    """The sends that are not over."""

    depth: int
    """In the outbox: waiting for a worker, or being worked on."""
    oldest_ms: int
    """How long ago the oldest of them was asked for; 0 when there is none."""
    later: int
    """Put off: every channel said "later", or an operator holds them back."""
    dead: int
    """Put with the dead letters, of which the latest 1,000 a partition are kept."""


@dataclass(frozen=True, slots=True)
class Pause:
    """What an operator holds back, until when, and who said so."""

    what: str
    """`sends`, `region:CN`, `prefix:+86139`, or `channel:<name>`."""
    until: int
    since: int
    by: str


@dataclass(frozen=True, slots=True)
class Untold:
    """What a gateway is asked for and does not tell."""

    what: str
    """`balance`, `reports` or `replies`."""
    since: int
    words: str


@dataclass(frozen=True, slots=True)
class ChannelState:
    """How a channel stands now, and what it did in the last hour (the last six spans of ten minutes)."""

    name: str
    standing: Standing
    outcomes: Mapping[str, int] = field(default_factory=dict)
    """How many tries came to each `outcome:reason`."""
    p50_ms: int | None = None
    p95_ms: int | None = None
    """Of all its answers, to 20 %; None when there was none."""
    words: str = ""
    """The gateway's own, of its latest complaint."""
    words_at: int = 0
    balance: str = ""
    """As the gateway said it; "" when it never did."""
    balance_at: int = 0
    lately: Sequence[str] = ()
    """What its latest calls came to, at most ten, the newest first: each `outcome:reason`."""
    lately_at: int = 0
    """When the newest of them ended."""
    untold: Sequence[Untold] = ()


@dataclass(frozen=True, slots=True)
class Installation:
    """Everything at one moment."""

    now: int
    workers: Sequence[WorkerSign]
    queue: QueueState
    channels: Sequence[ChannelState]
    pauses: Sequence[Pause]
    unknown: Sequence[str] = ()
    """What is not in here, in words: it lies on a master of a cluster that does not answer, while others do."""

    @property
    def holds_everything(self) -> bool:
        return any(pause.what == "sends" for pause in self.pauses)


@dataclass(frozen=True, slots=True)
class Hindrance:
    """A limit that refuses now, for one recipient."""

    limit: str
    """As `limit` of the API names it; `channel:<name>` for a channel's own; `suppressed`."""
    until: int
    """0 for no end in sight."""
    client: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class FullLimits:
    """Limits over many recipients that refuse at the moment `now`."""

    now: int
    hindrances: Sequence[Hindrance]
    unknown: Sequence[str] = ()
    """As that of an Installation."""


@dataclass(frozen=True, slots=True)
class Origin:
    """One client and one recipient, as keys in Redis name them."""

    client: str
    partition: int
    recipient: str
    """Fingerprint."""
    owner: str
    prefix: str
    """Fingerprint of what the number and its neighbours share."""
    scopes: Sequence[str] = ()
    """Names of "the fours" that have no session."""


@dataclass(frozen=True, slots=True)
class RecipientLimits:
    """The limits that are kept for one recipient, as the configuration has them."""

    recipient: Sequence[Window] = ()
    failures: Sequence[Window] = ()
    prefix: Sequence[Window] = ()
    disable_after: int = 0
    channels: Mapping[str, Sequence[Window]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CommonLimit:
    """What sends to many recipients are held against: those of one client, of one country, or all."""

    limit: str
    """As `limit` of the API names it."""
    name: str
    """Of the bucket: the client, the country, or "all"."""
    client: str = ""
    """"" for a limit over all clients."""
    windows: Sequence[Window] = ()
    cap: int | None = None
    """What may be spent within 24 hours, in millionths."""
    price: int = 0
    """Of the next send; 0 where none is paid for."""
    braked: bool = False
    """Whether the client's checks may be slowed down."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What is counted in one window."""

    limit: str
    client: str
    """"" for a limit over all clients."""
    used: int
    most: int
    """0 for no bound."""
    seconds: int
    """Of the window; 0 for a row that only an approval ends."""
    until: int
    """When a full one has room again; 0 for one that has."""


class TooManyPauses(Exception):
    """There are as many pauses of sends as one may have."""


class Operations(Protocol):
    """All methods raise `StoreDown`."""

    def look(self, channels: Sequence[str]) -> Installation: ...

    def client_of(self, id: VerificationId) -> str | None:
        """Whose verification it is; None when it is not known (any longer)."""
        ...

    def hindrances(self, origin: Origin, limits: RecipientLimits) -> tuple[int, Sequence[Hindrance]]:
        """The moment now, and what stands against a send to this recipient of this client."""
        ...

    def full(self, limits: Sequence[CommonLimit]) -> FullLimits:
        """Which of these refuse whatever recipient is asked for."""
        ...

    def pause_channel(self, channel: str, ms: int, by: str) -> int:
        """The moment at which it ends. A running pause is replaced."""
        ...

    def resume_channel(self, channel: str) -> bool:
        """False when it was not paused."""
        ...

    def pause_sends(self, what: str, ms: int, by: str) -> int:
        """The moment at which it ends. Raises TooManyPauses."""
        ...

    def resume_sends(self, what: str) -> Sequence[str]:
        """What was paused and is no longer; "" resumes all."""
        ...
