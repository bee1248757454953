"""What gateways say later, on its way to the try that it is about; and who does what only one worker may do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Wish(StrEnum):
    """What a person wants who answers an SMS with one of the known words."""

    STOP = "stop"
    START = "start"


@dataclass(frozen=True, slots=True)
class Heard:
    """One row of a gateway as it is kept: keyed hashes stand for the number and the gateway's id, no reply's text."""

    channel: str
    name: str = ""
    """Keyed hash of channel and gateway id; "" where the row names no message."""
    recipient: str = ""
    """Fingerprint of the number; "" where the row names none."""
    delivered: bool = False
    words: str = ""
    wish: Wish | None = None
    """Of a reply; None for a report."""
    partition: int = 0
    owners: tuple[str, ...] = ()
    """Of a reply: whom it is about as far as the row itself tells, each with one client."""
    tries: int = 0
    """How often its try was not known yet."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A row, and where it stands: who has acted on it says so with `forget`."""

    entry: str
    heard: Heard | None
    """None for one that can't be read."""


class ReportLog(Protocol):
    """Rows of gateways, as the members of one consumer group share them. All methods raise `StoreDown`."""

    async def open(self) -> None:
        """Make what is missing (the consumer group). May be called again."""
        ...

    async def keep(self, rows: Sequence[Heard]) -> None:
        """A gateway hands a row out once: it is written down before anything else."""
        ...

    async def read(self, count: int) -> Sequence[Kept]:
        """Up to `count`, without waiting."""
        ...

    async def reclaim(self, idle_ms: int, count: int) -> Sequence[Kept]:
        """Rows that their reader left for `idle_ms`."""
        ...

    async def forget(self, kept: Sequence[Kept]) -> None: ...

    async def put_off(self, heard: Heard, delay_ms: int) -> bool:
        """Bring it back after `delay_ms`. False when too many wait already, and it was not taken."""
        ...

    async def bring_back(self, count: int) -> int:
        """Give those that are due to the readers again; how many."""
        ...

    async def answered(self, name: str, recipient: str) -> tuple[str, str]:
        """The verification whose try `name` stands for, and its client; "" where it went to another number, or is not
        known."""
        ...

    async def suppress(self, partition: int, owner: str, lift: bool = False) -> None:
        """As `Store.suppress`."""
        ...


class Leases(Protocol):
    """Work that one worker of the installation does at a time. All methods raise `StoreDown`."""

    async def hold(self, name: str, holder: str, lease_ms: int) -> bool:
        """Take or renew; False while another holds it."""
        ...

    async def release(self, name: str, holder: str) -> None:
        """Let another have it at once; nothing where it is not this holder's."""
        ...


@dataclass(frozen=True, slots=True)
class Account:
    """What is known of a channel's account, for all workers. Amounts as the gateway says them."""

    balance: str = ""
    """"" while it was never told."""
    at: int = 0
    """When it was told, milliseconds by Redis's clock."""
    is_low: bool = False
    """Below `balance_low`, and said to be."""


class Accounts(Protocol):
    """All methods raise `StoreDown`."""

    async def look(self, channels: Sequence[str]) -> Sequence[Account]: ...

    async def note(self, channel: str, balance: str, is_low: bool) -> None: ...

    async def untold(self, channel: str, what: str, words: str) -> None:
        """From now on the gateway does not tell its `balance`, `reports` or `replies`, in its words; "": it does."""
        ...
