"""`Trips`: scripts that are asked for in one turn of the event loop go to Redis in one trip.

Under load a worker has dozens of scripts ready at once; each in a round trip of its own would cost more than its work.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Any

import redis.asyncio
from hiredis import pack_command
from redis.exceptions import NoScriptError, ResponseError

from otp_service.ports import StoreDown
from otp_service.store.connection import Lost
from otp_service.store.scripts import Script

MOST_AT_ONCE = 2
"""Trips under way: a third would only make each of them smaller."""
LONGEST = 256
"""Scripts in one trip: their replies are read in one piece."""

Word = str | bytes | int
Arguments = Sequence[Word]
_ASKING = pack_command(("ASKING",))
_Asked = tuple[bytes, "asyncio.Future[Any]"]
"""A command as it will stand on the wire, and who waits for its reply."""


class Trips:
    """To one server; `ClusterTrips` go to several."""

    is_cluster = False
    """Whether two partitions may lie on two servers."""

    def __init__(self, client: redis.asyncio.Redis, scripts: Mapping[str, Script]) -> None:
        self._client = client
        self._scripts = scripts
        self._brought: dict[str, asyncio.Event] = {}
        """Scripts whose text is on its way."""
        self._asked: list[_Asked] = []
        self._under_way: set[asyncio.Task[None]] = set()
        self._planned = False

    async def script(self, name: str, keys: Sequence[str], arguments: Arguments) -> Any:
        """Run a script once. Raises StoreDown: then nobody knows whether it ran."""
        script = self._scripts[name]
        while True:
            try:
                return await self.command("EVALSHA", script.sha, len(keys), *keys, *arguments)
            except NoScriptError:
                if (bringing := self._brought.get(name)) is None:
                    return await self._bring(name, "EVAL", script.text, len(keys), *keys, *arguments)
            await bringing.wait()

    async def _bring(self, name: str, *words: Word) -> Any:
        """Run a script that the server does not have, which then has it: hundreds that miss it at once, as after a
        start or a fail-over, would each bring a text of 10 KB."""
        brought = asyncio.Event()
        if not self.is_cluster:  # whose nodes each have their own
            self._brought[name] = brought
        try:
            return await self.command(*words)
        finally:
            self._brought.pop(name, None)
            brought.set()

    async def command(self, *words: Word) -> Any:
        """Run a command. Raises StoreDown, and NoScriptError; TypeError for a word that is an enum, say."""
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[Any] = loop.create_future()
        self._asked.append((pack_command(words), reply))  # type: ignore[arg-type]
        if not self._planned and len(self._under_way) < MOST_AT_ONCE:
            self._planned = True
            loop.call_soon(self._depart)
        return await reply

    async def alone(self, *words: Word, asking: bool = False) -> Any:
        """As `command`, on a connection of its own: for what blocks, and for what an ASK sent here."""
        packed = pack_command(words)  # type: ignore[arg-type]
        try:
            replies = await exchange(self._client, _ASKING + packed if asking else packed, 1 + asking)
        except Lost as lost:
            raise _down(lost) from lost
        if error := _error(replies[-1]):
            raise error
        return replies[-1]

    async def ended(self) -> None:
        """Return once what is under way has arrived, or is lost."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _depart(self) -> None:
        self._planned = False
        asked, self._asked = self._asked[:LONGEST], self._asked[LONGEST:]
        # Whoever was cancelled meanwhile has not asked.
        asked = [one for one in asked if not one[1].done()]
        if asked:
            task = asyncio.get_running_loop().create_task(self._travel(asked))
            self._under_way.add(task)
            task.add_done_callback(self._arrived)

    def _arrived(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if self._asked and not self._planned:
            self._planned = True
            asyncio.get_running_loop().call_soon(self._depart)

    async def _travel(self, asked: list[_Asked]) -> None:
        try:
            replies = await exchange(self._client, b"".join([packed for packed, _ in asked]), len(asked))
        except BaseException as error:
            replies = [_down(error)] * len(asked)
            if not isinstance(error, Lost):
                raise
        finally:
            for (_, future), reply in zip(asked, replies, strict=True):
                if not future.done():
                    _answer(future, reply)


async def exchange(client: redis.asyncio.Redis, packed: bytes, replies: int) -> list[Any]:
    """The replies to so many packed commands in their order, refusals among them. Nothing is asked twice, whatever
    breaks.

    A pipeline of redis-py packs each command in Python and sets a timer for each reply: a third of all that a delivery
    cost. Here hiredis packs, and one timer stands for the trip.
    """
    pool: Any = client.connection_pool
    connection: Any = await pool.get_connection()
    try:
        await connection.send_packed_command(packed)
        async with asyncio.timeout(connection.socket_timeout):
            return [await _read(connection) for _ in range(replies)]
    except BaseException:
        # What is still to come must not pass for the answer to somebody else's question.
        await connection.disconnect(nowait=True)
        raise
    finally:
        await pool.release(connection)


async def _read(connection: Any) -> Any:
    try:
        return await connection.read_response(timeout=math.inf)
    except ResponseError as refusal:
        return refusal


def _answer(future: asyncio.Future[Any], reply: Any) -> None:
    error = _error(reply)
    if error is None:
        future.set_result(reply)
    else:
        future.set_exception(error)


def _error(reply: Any) -> Exception | None:
    """What a reply raises."""
    if isinstance(reply, NoScriptError | StoreDown):
        return reply
    return _down(reply) if isinstance(reply, Lost) else None


def _down(cause: BaseException) -> StoreDown:
    failure = StoreDown(type(cause).__name__)
    failure.__cause__ = cause
    return failure
