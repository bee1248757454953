"""The way out: one configured way to deliver, and what a gateway's answer comes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple, Protocol, runtime_checkable


class Outcome(StrEnum):
    """What one try at a channel came to. `UNKNOWN` means that the message may have been sent."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    RETRYABLE = "retryable"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """Why a try was not accepted. `NUMBER` stops the delivery; every other one lets the next channel try."""

    NUMBER = "number"
    CONTENT = "content"
    ACCOUNT = "account"
    BALANCE = "balance"
    CONFIG = "config"
    RATE = "rate"
    TIMEOUT = "timeout"
    NETWORK = "network"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class Message:
    """One SMS as a channel must send it."""

    to: str
    """The recipient, E.164 (`+8613800138000`)."""
    text: str
    """The complete text, signature included where the channel's `signature_position` wants it in the text."""
    code: str = ""
    """The code alone, for gateways that hold the text themselves and are given its values."""
    minutes: int = 0
    purpose: str = ""
    locale: str = ""
    """Of the text that was chosen."""
    extno: str = ""
    """The port number, or sender, of this client for this purpose; empty for the channel's own."""
    reference: str = ""
    """Names this try and nothing else, for gateways that know a repeated request by a word of the caller's."""

    def __repr__(self) -> str:
        """Neither the number nor the code may reach a log through a traceback."""
        return "Message(to=…, text=…)"


@dataclass(frozen=True, slots=True)
class TryResult:
    """What a gateway answered, in our words."""

    outcome: Outcome
    reason: Reason | None = None
    detail: str = ""
    """The gateway's own words, for the operator; the store masks digit runs and cuts it to 200 characters."""
    gateway_id: str = ""
    """The gateway's id of the message (taskID, smsId), as it spelt it; empty when it gave none."""
    retry_after: float | None = None
    """Seconds that the gateway wants to be left alone; only with `RETRYABLE` or reason `RATE`."""
    unmapped: bool = False
    """True when the answer was a failure that no rule knows: counted, so that the operator can report it."""
    overloaded: bool = False
    """The gateway as a whole can't (HTTP 429 or 5xx, a throttling status): what it says is not about this message."""


@dataclass(frozen=True, slots=True)
class Balance:
    """What an account has left, as the gateway says it (parts for most of the family; may be negative or decimal)."""

    remaining: str
    detail: str = ""


class ChannelError(Exception):
    """A channel could not answer a question about itself (balance). The text says what to mend; it holds no secret."""


class NoBalance(ChannelError):
    """The gateway has no such question, or none that says whether the login works."""


class Report(NamedTuple):
    """What a gateway says later of a message that it took: a row of a poll or a push."""

    gateway_id: str
    to: str
    """E.164 where the row names the number; empty where it does not."""
    delivered: bool | None
    """None: still on its way."""
    words: str = ""
    """The gateway's own, for the operator."""


class Reply(NamedTuple):
    """What a handset answered."""

    to: str
    """E.164, the handset's."""
    text: str
    gateway_id: str = ""
    """Of the message that it answers, where the gateway knows it."""
    extno: str = ""


@runtime_checkable
class Polled(Protocol):
    """A channel whose gateway is asked for reports and replies. Each row is handed out once: keep it before acting."""

    async def reports(self) -> Sequence[Report]:
        """Raises `ChannelError`."""
        ...

    async def replies(self) -> Sequence[Reply]:
        """Raises `ChannelError`."""
        ...


@runtime_checkable
class OwnRows(Protocol):
    """A `Polled` channel with a session of its own in each worker: what came to one, no other can ask for."""

    rows_are_own: Literal[True]


class Push(NamedTuple):
    """A request of a gateway to us, as it came in."""

    url: str
    """Complete, with its query, as the gateway addressed it."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


class PushRefused(Exception):
    """A pushed report is not from the gateway, stale, or not to be read. The text says why; it holds no secret."""


@runtime_checkable
class Pushing(Protocol):
    """A channel whose gateway sends reports by itself."""

    def read_push(self, push: Push, now: float) -> Sequence[Report]:
        """The reports of a genuine push; `now` in seconds since the epoch. Raises `PushRefused`."""
        ...


class Channel(Protocol):
    """One configured way to deliver.

    `deliver` never raises for anything that a gateway or a network does: each failure is a `TryResult`. It ends within
    `deadline` seconds in total, whatever the gateway does. Only `asyncio.CancelledError` passes through.
    """

    name: str
    answer_within: float
    """Seconds after which the next channel is tried with the same code, while this one may still answer."""
    deadline: float
    """Seconds, total, for one try."""

    async def deliver(self, message: Message) -> TryResult: ...

    async def balance(self) -> Balance:
        """Ask the gateway what is left. Raises `ChannelError`; `NoBalance` where it can't be asked."""
        ...

    async def aclose(self) -> None: ...
