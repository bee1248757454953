"""A mail server of our own: it keeps what it took, and at any step says, or does, what it is told to."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from dataclasses import dataclass

DROPS, SILENT = "drops", "silent"


@dataclass
class Mail:
    sender: str
    recipient: str
    content: bytes
    login: tuple[str, str] | None
    over_tls: bool


class SmtpServer:
    """`async with SmtpServer(rcpt="550 no such user")`: an answer, or DROPS or SILENT, for a step instead of its own.

    Steps: greeting, ehlo, starttls, auth, mail, rcpt, data (before the mail), done (after it), quit.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, implicit: bool = False, **answers: str) -> None:
        self.mails: list[Mail] = []
        self.steps: list[str] = []
        self._answers = answers
        self._tls = tls
        self._implicit = implicit
        self._tasks: set[asyncio.Task[None]] = set()
        self._lines: list[asyncio.StreamWriter] = []
        self._over = asyncio.Event()

    async def __aenter__(self) -> SmtpServer:
        context = self._tls if self._implicit else None
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._over.set()
        for line in self._lines:
            line.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A handshake may end after everything else has."""
        if self._over.is_set():
            writer.close()
            return
        self._lines.append(writer)
        self._tasks.add(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, EOFError):
                await self._talk(reader, writer)
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mail = Mail("", "", b"", None, self._implicit)
        await self._say(writer, "greeting", "220 mail.example ESMTP")
        while line := (await reader.readline()).decode().strip():
            word = line.split()[0].lower()
            if word == "ehlo":
                offers = [
                    "mail.example",
                    "8BITMIME",
                    "AUTH PLAIN",
                    *(["STARTTLS"] if self._tls and not mail.over_tls else []),
                ]
                lines = [f"250-{offer}\r\n" for offer in offers[:-1]]
                await self._say(writer, "ehlo", f"{''.join(lines)}250 {offers[-1]}")
            elif word == "starttls":
                await self._say(writer, "starttls", "220 go ahead")
                if "starttls" not in self._answers and self._tls:
                    raw: asyncio.WriteTransport = writer.transport
                    try:
                        await writer.start_tls(self._tls)
                    except AttributeError:  # asyncio's way to say that the client left within the handshake
                        vars(writer)["_transport"] = raw
                        raise EOFError from None
                    mail.over_tls = True
            elif word == "auth":
                _, name, password = base64.b64decode(line.split()[2]).decode().split("\0")
                mail.login = (name, password)
                await self._say(writer, "auth", "235 ok")
            elif word == "mail":
                mail.sender = line.partition("<")[2].partition(">")[0]
                await self._say(writer, "mail", "250 ok")
            elif word == "rcpt":
                mail.recipient = line.partition("<")[2].partition(">")[0]
                await self._say(writer, "rcpt", "250 ok")
            elif word == "data":
                await self._say(writer, "data", "354 go on")
                if "data" not in self._answers:
                    mail.content = await reader.readuntil(b"\r\n.\r\n")
                    self.mails.append(mail)
                    await self._say(writer, "done", "250 2.0.0 Ok: queued as 4C3D2A1B9F")
            else:
                await self._say(writer, word, "221 bye")

    async def _say(self, writer: asyncio.StreamWriter, step: str, usual: str) -> None:
        self.steps.append(step)
        answer = self._answers.get(step, usual)
        if answer == SILENT:
            await self._over.wait()
            raise EOFError
        if answer == DROPS:
            raise EOFError
        writer.write(f"{answer}\r\n".encode())
        await writer.drain()
