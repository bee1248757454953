"""The numbers that decide, with their sources, and the rules that a deployment may set around them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Literal

from otp_service import pumping
from otp_service.number_lists import Lists
from otp_service.recipient import NEVER_SENT, LineType

if TYPE_CHECKING:
    from otp_service.routes import ChannelRule

CODE_LENGTHS = range(6, 11)
"""NIST SP 800-63B §5.1.3.2: a secret of at least six decimal digits; ten is what people still copy without error."""

TTL_SECONDS = range(60, 601)
"""NIST SP 800-63B §5.1.3.2: an out-of-band secret is good for at most ten minutes."""

LONG_TTL_SECONDS = range(60, 1801)
"""Beyond NIST's ten minutes, and only where a purpose says `allow_long_ttl = true`."""

MIN_LIFE_TO_RESEND_MS = 60 * 1000
"""A code that dies within a minute is not worth an SMS: a start begins anew, a resend by id is refused."""

TOKEN_LEEWAY_SECONDS = 5
"""How far ahead the clock of the node that made a token may be."""

EVERYBODY = "*"

_WINDOW = re.compile(r"([0-9]+)\s*/\s*([0-9]*)\s*(s|m|h|d)?")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class Window:
    """At most `count` in any `seconds` long span: a rolling window, so never twice the count across an edge."""

    count: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> Window:
        """Read `5/3600`, `5/1h`, `30/10m`, `10/1d` or `5/h`. Raises ValueError, saying what is meant."""
        match = _WINDOW.fullmatch(text.strip())
        if match is None or not (match[2] or match[3]):
            raise ValueError(f'{text!r} is not a limit; write it as "5/1h", "10/24h" or "5/3600" (seconds)')
        window = cls(int(match[1]), int(match[2] or 1) * _UNIT_SECONDS[match[3] or "s"])
        if window.count < 1 or window.seconds < 1:
            raise ValueError(f"{text!r} needs a count and a time of at least 1")
        if window.count > 100_000 or window.seconds > 366 * 86400:
            raise ValueError(f"{text!r} is larger than we can count exactly: at most 100000 in 366 days")
        return window


def window_terms(windows: Iterable[Window]) -> str:
    """Windows as the scripts read them, in milliseconds: `5/3600000 10/86400000`."""
    return " ".join(f"{window.count}/{window.seconds * 1000}" for window in windows)


@dataclass(frozen=True, slots=True)
class Policy:
    """How codes of one purpose live. The defaults are the contract's."""

    code_length: int = 6
    ttl: int = 300
    """Seconds."""
    max_attempts: int = 5
    """NIST SP 800-63B §5.2.2 allows up to 100 over all; five per code leaves odds of 5 in 10^6."""
    max_sends: int = 4
    cooldown: tuple[int, ...] = (60, 60, 120)
    """Seconds after each send; the last repeats."""
    resend: Literal["reuse", "rotate"] = "reuse"
    token_ttl: int = 600
    max_parts: int = 1
    locale: str = "zh-CN"
    webotp_host: str = ""
    android_hash: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """The counted limits. An empty tuple means no limit of that kind."""

    recipient: tuple[Window, ...] = (Window(5, 3600), Window(10, 86400))
    """Sends to one recipient, over all clients (Aliyun and its like refuse at 5/h and 10/day)."""
    failures: tuple[Window, ...] = (Window(10, 3600), Window(20, 86400))
    """Wrong codes per client and recipient: 20 a day at one in 10^6 keeps the odds at 2 in 10^5."""
    client_ip: tuple[Window, ...] = (Window(100, 3600),)
    """Sends asked for from one IPv4 address or IPv6 /64, approved ones not counted."""
    prefix: tuple[Window, ...] = (Window(30, 3600),)
    """Sends to one number and its neighbours (all but the last 4 digits), approved ones not counted."""
    session: tuple[Window, ...] = ()
    """Sends in one session of a client."""
    device: tuple[Window, ...] = ()
    """Sends that one device of a client asked for."""
    country: tuple[Window, ...] = ()
    """Sends to one country or region."""
    client: tuple[Window, ...] = ()
    """Sends of each client."""
    installation: tuple[Window, ...] = ()
    """All sends."""
    disable_after: int = 100
    """Wrong codes in a row for one client and recipient until it is disabled (NIST SP 800-63B §5.2.2: at most 100);
    0 for never."""
    spray_brake: bool = True
    """Slow a client down whose verifications fail as when somebody tries codes on number after number."""


MILLIONTHS = 1_000_000
"""Money is counted in millionths of its unit: prices have four or five decimals."""


@dataclass(frozen=True, slots=True)
class Spend:
    """What an SMS costs, and what may be spent within 24 hours. Amounts in millionths; None for no cap."""

    prices: Mapping[str, int] = field(default_factory=dict)
    """By ISO 3166 region; EVERYBODY for the others."""
    client: int | None = None
    """Of each client that has no cap of its own."""
    clients: Mapping[str, int] = field(default_factory=dict)
    installation: int | None = None

    def price(self, region: str) -> int:
        return self.prices.get(region, self.prices.get(EVERYBODY, 0))

    def cap(self, client: str) -> int | None:
        return self.clients.get(client, self.client)


@dataclass(frozen=True, slots=True)
class Client:
    """A calling application."""

    name: str
    purposes: frozenset[str]
    require: frozenset[str] = frozenset()
    """Fields that a start of this client must carry."""
    challenge: Literal["never", "suspicious", "always"] = "suspicious"
    """Which starts of this client need a CAPTCHA token."""


@dataclass(frozen=True, slots=True)
class TestNumber:
    """A number with a fixed code: for callers' CI and app-store review. Nothing is ever sent to it."""

    __test__ = False  # the name starts with Test; it is none of pytest's business

    e164: str
    code: str = field(repr=False)
    until: date
    """The last day, UTC, on which the fixed code works."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything that a deployment decides about verifications."""

    policies: Mapping[str, Policy]
    limits: Limits = field(default_factory=Limits)
    spend: Spend = field(default_factory=Spend)
    default_region: str = ""
    regions: frozenset[str] = frozenset()
    """ISO 3166 regions that we send to; `*` is everywhere."""
    refused_lines: frozenset[LineType] = NEVER_SENT
    lists: Mapping[str, Lists] = field(default_factory=dict)
    """Numbers blocked and allowed: by client, and for EVERYBODY."""
    channels: tuple[ChannelRule, ...] = ()
    """The configured channels, in their order."""
    test_numbers: Mapping[str, TestNumber] = field(default_factory=dict)
    listened: frozenset[str] = frozenset()
    """Clients whose events somebody subscribed to, or EVERYBODY."""
    pumping: pumping.Rules = field(default_factory=pumping.Rules)
    outbox_max: int = 10_000
    """Sends that may wait in one of the 32 partitions before a start is refused with `unavailable`."""
