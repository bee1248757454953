"""What the gateway accepted, and what it refused: bounded, searchable, and awaited."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from otp_service.simulator import texts
from otp_service.simulator.dialects import rfc3339
from otp_service.simulator.events import Events
from otp_service.simulator.exchange import Exchange
from otp_service.simulator.words import Refused

KEPT_REFUSALS = 1000


@dataclass(frozen=True, slots=True)
class Message:
    """One accepted message to one number. `id` only grows; it is also the cursor of `after`."""

    id: int
    mobile: str
    content: str
    code: str | None
    account: str
    protocol: str
    channel_account: str
    """What the account is called in its protocol."""
    taskid: str
    at: float
    profile: str
    exchange: Exchange
    fault: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "mobile": self.mobile,
            "content": self.content,
            "code": self.code,
            "account": self.account,
            "taskid": self.taskid,
            "at": rfc3339(self.at),
            "parts": texts.size(self.content).parts,
            "protocol": self.protocol,
            "channel_account": self.channel_account,
        }

    def details(self) -> dict[str, Any]:
        """Everything about it, with the raw request and answer."""
        size = texts.size(self.content)
        counted = {"encoding": size.encoding, "length": size.length, "room": size.room}
        more = {"profile": self.profile or None, "fault": self.fault, **counted}
        return {**self.as_json(), **more, **self.exchange.as_json()}


@dataclass(frozen=True, slots=True)
class Refusal:
    """One try that was refused, and why."""

    id: int
    at: float
    account: str
    mobile: str
    content: str
    path: str
    protocol: str
    refused: Refused
    exchange: Exchange

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "at": rfc3339(self.at),
            "account": self.account,
            "mobile": self.mobile,
            "content": self.content[:500],
            "path": self.path,
            "protocol": self.protocol,
            "check": self.refused.refusal.name,
            "message": self.refused.message,
            "hint": self.refused.refusal.hint,
            "hint_zh": self.refused.refusal.hint_zh,
        }

    def details(self) -> dict[str, Any]:
        return {**self.as_json(), **self.exchange.as_json()}


@dataclass(frozen=True, slots=True)
class Deleted:
    """News that a message, or all (`id` None), is gone."""

    id: int | None

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id}


class Inbox:
    """The newest `keep` messages, oldest first inside, newest first outside."""

    def __init__(self, events: Events, keep: int) -> None:
        self._events = events
        self._keep = keep
        self._messages: dict[int, Message] = {}
        self._latest = 0
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self.refusals: deque[Refusal] = deque(maxlen=KEPT_REFUSALS)
        self._refused = 0

    def __len__(self) -> int:
        return len(self._messages)

    def next_id(self) -> int:
        self._latest += 1
        return self._latest

    def add(self, message: Message) -> None:
        """Show a message, whose id is the latest `next_id`, and wake those who wait for it."""
        self._messages[message.id] = message
        if len(self._messages) > self._keep:
            del self._messages[next(iter(self._messages))]
        self._events.publish("message", message)
        for key in (message.mobile, ""):
            for waiter in self._waiting.pop(key, ()):
                if not waiter.done():
                    waiter.set_result(None)

    def get(self, message_id: int) -> Message | None:
        return self._messages.get(message_id)

    def find(self, *, mobile: str = "", after: int = 0, text: str = "", limit: int = 100) -> list[Message]:
        """The newest `limit` messages newer than `after`, to that number, with that text in them or in the number."""
        found: list[Message] = []
        for message in self._newest_first(after):
            if mobile and message.mobile != mobile:
                continue
            if text and text not in message.content.lower() and text not in message.mobile:
                continue
            found.append(message)
            if len(found) >= limit:
                break
        return found

    def _newest_first(self, after: int) -> Iterator[Message]:
        for message in reversed(self._messages.values()):
            if message.id <= after:
                return
            yield message

    async def arrival(self, mobile: str, until: float) -> bool:
        """Wait for the next message to that number (empty: any); False when the loop's clock reached `until`."""
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        self._waiting.setdefault(mobile, set()).add(waiter)
        try:
            await asyncio.wait_for(waiter, until - loop.time())
        except TimeoutError:
            return False
        finally:
            waiters = self._waiting.get(mobile)
            if waiters is not None:
                waiters.discard(waiter)
                if not waiters:
                    del self._waiting[mobile]
        return True

    def delete(self, message_id: int) -> bool:
        if self._messages.pop(message_id, None) is None:
            return False
        self._events.publish("deleted", Deleted(message_id))
        return True

    def clear(self) -> None:
        self._messages.clear()
        self._events.publish("deleted", Deleted(None))

    def refuse(self, request_path: str, at: float, protocol: str, refused: Refused, exchange: Exchange) -> None:
        form = exchange.form
        self._refused += 1
        refusal = Refusal(
            self._refused,
            at,
            form.get("account")[:100],
            form.get("mobile")[:200],
            form.get("content"),
            request_path,
            protocol,
            refused,
            exchange,
        )
        self.refusals.append(refusal)
        self._events.publish("refused", refusal)

    def forget_refusals(self) -> None:
        self.refusals.clear()
