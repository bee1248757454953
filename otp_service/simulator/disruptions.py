"""Answers that break the rules of HTTP, or of patience. Each one does on the wire what its name says."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import h11

from otp_service.simulator.wire import Headers, Line, Reply, Response, answer_head


@dataclass(frozen=True, slots=True)
class Late:
    """The same answer, `seconds` late."""

    reply: Reply
    seconds: float

    async def send(self, line: Line) -> None:
        await asyncio.sleep(self.seconds)
        await self.reply.send(line)

    def shown(self) -> bytes:
        return self.reply.shown() + b"\r\n\r\n[sent %g s late]" % self.seconds


@dataclass(frozen=True, slots=True)
class Hang:
    """No answer; the connection stays open until the caller leaves."""

    async def send(self, line: Line) -> None:
        await line.until_caller_leaves()

    def shown(self) -> bytes:
        return b"[no answer: the connection is left hanging]"


@dataclass(frozen=True, slots=True)
class Reset:
    """No answer but a TCP reset."""

    async def send(self, line: Line) -> None:
        line.reset()

    def shown(self) -> bytes:
        return b"[no answer: TCP reset]"


@dataclass(frozen=True, slots=True)
class Truncated:
    """The head promises the whole answer, `keep` bytes of its body come, then the connection closes."""

    response: Response
    keep: int

    async def send(self, line: Line) -> None:
        head = answer_head(self.response.status, self.response.head())
        await line.send(head, h11.Data(data=self.response.body[: self.keep]))

    def shown(self) -> bytes:
        whole = self.response.shown()
        return whole[: len(whole) - len(self.response.body) + self.keep] + b"\r\n\r\n[cut here, connection closed]"


@dataclass(frozen=True, slots=True)
class Drip:
    """The answer, one byte every `pause` seconds: each read succeeds, the whole takes a minute."""

    response: Response
    pause: float

    async def send(self, line: Line) -> None:
        await line.send(answer_head(self.response.status, self.response.head()))
        for byte in self.response.body:
            await line.send(h11.Data(data=bytes((byte,))))
            await asyncio.sleep(self.pause)
        await line.send(h11.EndOfMessage())

    def shown(self) -> bytes:
        return self.response.shown() + b"\r\n\r\n[one byte every %g s]" % self.pause


@dataclass(frozen=True, slots=True)
class Endless:
    """A chunked body that begins like an answer and never ends, as fast as the caller reads."""

    response: Response

    async def send(self, line: Line) -> None:
        headers = [(name, value) for name, value in self.response.head() if name != b"content-length"]
        await line.send(answer_head(200, [*headers, (b"transfer-encoding", b"chunked")]))
        await line.send(h11.Data(data=self.response.body))
        blanks = h11.Data(data=b" " * 16384)
        while True:
            await line.send(blanks)
            await asyncio.sleep(0)

    def shown(self) -> bytes:
        return self.response.shown() + b"\r\n\r\n[followed by blanks without end]"


@dataclass(frozen=True, slots=True)
class GzipBomb:
    """About 50 KB of gzip that unpack to 50 MB of blanks before the answer."""

    response: Response

    async def send(self, line: Line) -> None:
        # gzip members may follow each other (RFC 1952, 2.2): the blanks are packed once, the answer each time.
        body = _packed_blanks() + gzip.compress(self.response.body)
        headers: Headers = ((b"content-encoding", b"gzip"),)
        await Response(200, body, self.response.content_type, headers).send(line)

    def shown(self) -> bytes:
        return b"[50 MB of blanks as gzip, then:]\r\n" + self.response.shown()


@cache
def _packed_blanks() -> bytes:
    return b"".join(_members())


def _members() -> Iterator[bytes]:
    packed = gzip.compress(b" " * (1 << 20), 9)
    for _ in range(50):
        yield packed
