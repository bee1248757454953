"""One bound connection: requests and their answers, who is at the other end, and what it sends by itself."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
from collections.abc import Callable, Iterator
from typing import Any

from otp_service.channels.smpp import pdu
from otp_service.channels.smpp.pdu import BadPdu, Pdu, read_pdu
from otp_service.channels.smpp.settings import SmppSettings
from otp_service.channels.smpp.statuses import INVALID_COMMAND, OK
from otp_service.ports import Outcome, Reason, TryResult

Receive = Callable[[Pdu], int]
"""Takes a deliver_sm; gives the status of its answer."""

_LAST_SEQUENCE = 0x7FFFFFFF
_CONNECT_SECONDS = 10.0
_UNBIND_SECONDS = 1.0
_BREAKS = (OSError, EOFError, BadPdu)


class NotBound(Exception):
    """There is no session, and so nothing left. `result` is what a try comes to; its text holds no secret."""

    def __init__(self, result: TryResult) -> None:
        super().__init__(result.detail)
        self.result = result


class BindRefused(Exception):
    """The SMSC answered our bind with `status`."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status:#x}")
        self.status = status


class Broken(Exception):
    """The connection ended while an answer was awaited: the SMSC may have acted on the request."""


class Session:
    """Use `open`. `ended` is set when the connection is no longer of use."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receive: Receive) -> None:
        self.ended = asyncio.Event()
        self._reader = reader
        self._writer = writer
        self._receive = receive
        self._sequences = self._numbers()
        self._awaited: dict[int, asyncio.Future[Pdu]] = {}
        self._heard = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def open(cls, settings: SmppSettings, receive: Receive, tls: ssl.SSLContext | None = None) -> Session:
        """Connect and bind. Raises `BindRefused`, `Broken`, OSError (TimeoutError and ssl.SSLError are such)."""
        async with asyncio.timeout(_CONNECT_SECONDS):
            # A cancelled handshake loses its socket: its own timeout comes first.
            over_tls = {"ssl": tls or ssl.create_default_context(), "ssl_handshake_timeout": 0.9 * _CONNECT_SECONDS}
            how: dict[str, Any] = over_tls if settings.tls else {}
            reader, writer = await asyncio.open_connection(settings.host, settings.port, **how)
            session = cls(reader, writer, receive)
            try:
                await session._bind(settings)
            except BaseException:
                session._end()
                raise
        return session

    async def _bind(self, settings: SmppSettings) -> None:
        self._tasks.append(asyncio.create_task(self._read()))
        body = pdu.bind(settings.system_id, settings.password, settings.system_type)
        answer = await self.request(pdu.BIND_TRANSCEIVER, body)
        if answer.status != OK:
            raise BindRefused(answer.status)
        self._tasks.append(asyncio.create_task(self._watch(settings.enquire_link)))

    async def request(self, command: int, body: bytes = b"") -> Pdu:
        """The answer, a generic_nack included. Raises `NotBound` before a byte has left and `Broken` after; whoever
        stops waiting can't know what becomes of it."""
        if self.ended.is_set():
            raise NotBound(TryResult(Outcome.RETRYABLE, Reason.NETWORK, "the connection has ended"))
        sequence = next(self._sequences)
        answer: asyncio.Future[Pdu] = asyncio.get_running_loop().create_future()
        self._awaited[sequence] = answer
        try:
            self._writer.write(Pdu(command, sequence, body=body).encode())
            return await answer
        finally:
            self._awaited.pop(sequence, None)

    async def close(self) -> None:
        """Say goodbye, and don't wait long for the answer."""
        with contextlib.suppress(NotBound, Broken, TimeoutError):
            async with asyncio.timeout(_UNBIND_SECONDS):
                await self.request(pdu.UNBIND)
        self._end()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(*_BREAKS):
            await self._writer.wait_closed()

    async def _read(self) -> None:
        try:
            while not self.ended.is_set():
                self._take(await read_pdu(self._reader))
        except _BREAKS:
            pass
        finally:
            self._end()

    def _take(self, got: Pdu) -> None:
        self._heard.set()
        if got.command & pdu.RESPONSE:
            awaited = self._awaited.get(got.sequence)
            if awaited is not None and not awaited.done():
                awaited.set_result(got)
            elif got.command == pdu.GENERIC_NACK and got.sequence == 0:
                raise BadPdu("the SMSC has lost the thread")
        elif got.command == pdu.DELIVER_SM:
            self._answer(got, self._receive(got), b"\0")
        elif got.command in (pdu.ENQUIRE_LINK, pdu.UNBIND):
            self._answer(got, OK)
            if got.command == pdu.UNBIND:
                raise BadPdu("the SMSC unbinds")
        elif got.command != pdu.ALERT_NOTIFICATION:  # the one request that has no answer
            self._writer.write(Pdu(pdu.GENERIC_NACK, got.sequence, INVALID_COMMAND).encode())

    def _answer(self, got: Pdu, status: int, body: bytes = b"") -> None:
        self._writer.write(Pdu(got.command | pdu.RESPONSE, got.sequence, status, body).encode())

    async def _watch(self, every: float) -> None:
        """Ask a silent SMSC whether it is there; one that stays silent is given up.

        Python 3.11's wait_for may swallow a cancellation; a timeout does not.
        """
        while not self.ended.is_set():
            self._heard.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(every):
                    await self._heard.wait()
                continue
            try:
                async with asyncio.timeout(every):
                    await self.request(pdu.ENQUIRE_LINK)
            except (TimeoutError, Broken, NotBound):
                self._end()

    def _end(self) -> None:
        self.ended.set()
        for awaited in self._awaited.values():
            if not awaited.done():
                awaited.set_exception(Broken("the connection ended before an answer came"))
        this = asyncio.current_task()
        for task in self._tasks:
            if task is not this:
                task.cancel()
        self._writer.close()

    def _numbers(self) -> Iterator[int]:
        """1 to 0x7FFFFFFF and again, past those that still wait for an answer."""
        for count in itertools.count():
            number = count % _LAST_SEQUENCE + 1
            if number not in self._awaited:
                yield number
