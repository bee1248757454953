"""Events on their way to webhooks: where they happen, where they wait, and how they leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from otp_service.events import Event, Value, Webhook


@dataclass(frozen=True, slots=True)
class Logged:
    """An event as it stands in the log, and where: who has queued it says so with `forget`."""

    stream: str
    entry: str
    event: Event | None
    """None for an entry that can't be read: it is forgotten, or it would come back for ever."""


class EventLog(Protocol):
    """What happened, as the members of one consumer group share it. All methods raise `StoreDown`."""

    async def open(self) -> None:
        """Make what is missing (the consumer group). May be called again."""
        ...

    async def emit(self, type: str, data: Mapping[str, Value]) -> None:
        """Write down an event of the whole installation: names and amounts, never a number or a gateway's own words.

        Raises ValueError for a type that is none of those.
        """
        ...

    async def read(self, count: int) -> Sequence[Logged]:
        """Up to `count` a stream, without waiting."""
        ...

    async def reclaim(self, idle_ms: int, count: int) -> Sequence[Logged]:
        """Events that their reader left for `idle_ms`."""
        ...

    async def forget(self, logged: Sequence[Logged]) -> None:
        """They are queued wherever they are wanted."""
        ...


@dataclass(frozen=True, slots=True)
class Hook:
    """One event, claimed to be sent to one webhook now."""

    event: Event
    attempt: int
    """1 for the first. It also says whose the claim is: another claimer has another number."""
    now: int
    """Milliseconds since 1970, by Redis's clock."""


class Fate(StrEnum):
    """What becomes of a hook that was claimed."""

    DONE = "done"
    RETRY = "retry"
    GONE = "gone"
    """The receiver wants no more of anything: all that waits for it goes, and nothing more is queued."""


@dataclass(frozen=True, slots=True)
class HookState:
    """What `otp-service status` shows of a webhook."""

    name: str
    queued: int
    oldest_due_ms: int
    """How long the first of those that wait is overdue; 0 when none is."""
    gone_since: int | None
    """When its address said 410, in milliseconds since 1970; None while it is told of events."""


class HookQueue(Protocol):
    """Events that wait for a webhook, each with the moment of its next attempt. All methods raise `StoreDown`."""

    async def add(self, webhook: Webhook, events: Sequence[Event]) -> int:
        """Queue those that are not queued yet, due at once. How many were dropped, because the queue is full.

        Nothing is queued for a webhook that is gone.
        """
        ...

    async def claim(self, webhook: Webhook, count: int, lease_ms: int) -> Sequence[Hook]:
        """Up to `count` that are due; nobody else is given them before `lease_ms` are over."""
        ...

    async def settle(self, webhook: Webhook, hook: Hook, fate: Fate, delay_ms: int = 0) -> bool:
        """False when the lease was lost: another holds it, and decides."""
        ...

    async def states(self, webhooks: Sequence[Webhook]) -> Sequence[HookState]: ...


class HookFailed(Exception):
    """No whole answer came. The text holds no URL, and nothing that the receiver sent."""


class AddressRefused(HookFailed):
    """The webhook's name stands for an address that we don't connect to, or for none: no byte left us."""


@dataclass(frozen=True, slots=True)
class HookAnswer:
    status: int
    retry_after: float | None = None
    """Seconds."""


class HookReceiver(Protocol):
    """The way to one webhook."""

    async def post(self, body: bytes, headers: Mapping[str, str], deadline: float) -> HookAnswer:
        """Send; `deadline` in seconds covers everything. Raises `HookFailed` or `AddressRefused`."""
        ...

    async def aclose(self) -> None: ...
