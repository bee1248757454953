"""News for the page: numbered, kept for those who were away for a moment, handed to everyone who listens."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, Protocol

import h11

from otp_service.simulator.wire import Line, answer_head

HEARTBEAT = 15.0
"""Seconds of silence after which a comment is sent, so that both ends notice a dead connection."""
_KEPT = 1000
_BACKLOG = 1000
"""Events that a slow listener may lag behind; then it is cut off, and resumes by itself."""
MAX_LISTENERS = 100


class Showable(Protocol):
    def as_json(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Event:
    number: int
    kind: str
    what: Showable

    def text(self, epoch: str) -> bytes:
        data = json.dumps(self.what.as_json(), ensure_ascii=False)
        return f"id: {epoch}-{self.number}\nevent: {self.kind}\ndata: {data}\n\n".encode()


class Events:
    """The broadcaster. An event's id is `epoch-number`: the epoch is this process, so a restart is noticed."""

    def __init__(self) -> None:
        self.epoch = token_hex(4)
        self._number = 0
        self._kept: deque[Event] = deque(maxlen=_KEPT)
        self._listeners: set[asyncio.Queue[Event | None]] = set()

    @property
    def full(self) -> bool:
        return len(self._listeners) >= MAX_LISTENERS

    @property
    def latest(self) -> str:
        return f"{self.epoch}-{self._number}"

    def publish(self, kind: str, what: Showable) -> None:
        self._number += 1
        event = Event(self._number, kind, what)
        self._kept.append(event)
        for queue in list(self._listeners):
            if queue.qsize() >= _BACKLOG:
                self._listeners.discard(queue)
                queue.put_nowait(None)
            else:
                queue.put_nowait(event)

    async def listen(self, last_id: str) -> AsyncGenerator[bytes, None]:
        """Events after `last_id`, then as they come. `reset` says that some were missed: read the lists anew."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            yield b"retry: 1000\n: hello\n\n" + self._missed(last_id)
            while True:
                try:
                    event = await asyncio.wait_for(queue.get(), HEARTBEAT)
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                if event is None:
                    return
                yield event.text(self.epoch)
        finally:
            self._listeners.discard(queue)

    def _missed(self, last_id: str) -> bytes:
        if not last_id:
            return b""
        epoch, _, number = last_id.partition("-")
        seen = int(number) if number.isascii() and number.isdecimal() else -1
        oldest = self._kept[0].number if self._kept else self._number + 1
        if epoch != self.epoch or not oldest - 1 <= seen <= self._number:
            return f"id: {self.latest}\nevent: reset\ndata: {{}}\n\n".encode()
        return b"".join(event.text(self.epoch) for event in self._kept if event.number > seen)


@dataclass(frozen=True, slots=True)
class EventStream:
    """The reply that carries the events: `text/event-stream`, until the caller leaves."""

    events: Events
    last_id: str
    headers: tuple[tuple[bytes, bytes], ...] = ()

    async def send(self, line: Line) -> None:
        head = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store"), *self.headers]
        await line.send(answer_head(200, head))
        async with aclosing(self.events.listen(self.last_id)) as pieces:
            async for piece in pieces:
                await line.send(h11.Data(data=piece))
        await line.send(h11.EndOfMessage())

    def shown(self) -> bytes:
        return b"[events]"
