"""The append-only log for a checker of faults: one JSON line an event, written whole before anything goes on.

| event      | says                                                                                    |
|------------|-----------------------------------------------------------------------------------------|
| `received` | a request for a send: `request` (its number), `account`, `protocol`, `mobile`, `code`, `text_sha256` |
| `accepted` | one message was taken: `request`, `account`, `protocol`, `mobile`, `code`, `taskid`         |
| `answered` | the answer has left, or the attempt to send it ended: `request`, `outcome` (`accepted`, or the name |
|            | of the refusal or fault), `fault` (met by an accepted one), `status` (of HTTP, or `hang`, `reset`, …), |
|            | `words`, `whole` (false: the caller left before the end)                                  |
| `report`   | a row was handed out (`how`: `polled`) or a push was tried (`pushed`, with `result`)       |

Every line has `monotonic` (seconds of this machine's monotonic clock, comparable between its processes) and `wall`
(RFC 3339 UTC). Numbers and codes stand there in clear: comparing them is its purpose. It is a tool of development and
never belongs near real people's messages.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from otp_service.simulator.disruptions import Late
from otp_service.simulator.wire import Line, Reply, Response


class Journal:
    """The open file, or nothing at all. Raises `OSError` when it can't be opened."""

    def __init__(self, path: Path | None) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._file = None if path is None else os.open(path, flags, 0o600)

    @property
    def on(self) -> bool:
        return self._file is not None

    def write(self, event: str, **facts: Any) -> None:
        """Append one line. It is with the kernel when this returns, so a kill -9 loses nothing."""
        if self._file is None:
            return
        wall = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        line = {"event": event, "monotonic": time.monotonic(), "wall": wall, **facts}
        # One call: lines of several simulators on one file don't mix.
        os.write(self._file, json.dumps(line, ensure_ascii=False).encode() + b"\n")

    def follow(self, reply: Reply, **facts: Any) -> Reply:
        """The same reply, noted when it has left."""
        return reply if self._file is None else _Followed(reply, self, facts)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


@dataclass(frozen=True, slots=True)
class _Followed:
    reply: Reply
    journal: Journal
    facts: dict[str, Any]

    async def send(self, line: Line) -> None:
        whole = False
        try:
            await self.reply.send(line)
            whole = True
        finally:
            self.journal.write("answered", **self.facts, status=_status(self.reply), whole=whole)

    def shown(self) -> bytes:
        return self.reply.shown()


def _status(reply: Reply) -> int | str:
    if isinstance(reply, Late):
        return _status(reply.reply)
    return reply.status if isinstance(reply, Response) else type(reply).__name__.lower()


def text_hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()
