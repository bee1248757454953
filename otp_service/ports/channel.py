"""The way out: one configured way to deliver, and what a gateway's answer comes to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


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


@dataclass(frozen=True, slots=True)
class Balance:
    """What an account has left, as the gateway says it (parts for most of the family; may be negative or decimal)."""

    remaining: str
    detail: str = ""


class ChannelError(Exception):
    """A channel could not answer a question about itself (balance). The text says what to mend; it holds no secret."""


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
        """Ask the gateway what is left. Raises `ChannelError`."""
        ...

    async def aclose(self) -> None: ...
