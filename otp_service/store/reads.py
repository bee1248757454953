"""How a worker waits for entries: in one read of all streams, or on a cluster in one for each, side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

import structlog

from otp_service.ports import StoreDown
from otp_service.store.groups import has_no_group, open_group, streams_in
from otp_service.store.trips import Trips

_LOG = structlog.get_logger("otp_service.store")

GROUP = "workers"
_AFTER_A_LOSS_SECONDS = 0.5

Message = tuple[bytes, list[bytes] | None]
"""An entry's id, and its fields in a row: none where it was deleted while it pended."""
Found = Sequence[tuple[int, Sequence[Message]]]
"""By partition."""


class Reads(Protocol):
    async def read(self, count: int, block_ms: int) -> Found:
        """Up to `count` a partition; waits `block_ms` for the first, and not at all for 0. Raises StoreDown.

        A stream whose group is gone gets it again, and nothing is returned of it."""
        ...

    def kept(self) -> Found:
        """What Redis has handed out, and no `read` has returned yet."""
        ...

    async def last(self) -> Found:
        """What reads that still wait bring: no further ones are begun. Takes up to the `block_ms` of the last one."""
        ...


class OneRead:
    """Of all streams, which lie on one server."""

    def __init__(self, trips: Trips, consumer: str, streams: Mapping[int, str]) -> None:
        self._trips = trips
        self._consumer = consumer
        self._partitions = {stream.encode(): partition for partition, stream in streams.items()}

    async def read(self, count: int, block_ms: int) -> Found:
        try:
            reply = await self._trips.alone(*words(self._consumer, count, block_ms, [*self._partitions]))
        except StoreDown as error:
            if not has_no_group(error):
                raise
            await asyncio.gather(*(open_group(self._trips, stream.decode(), GROUP) for stream in self._partitions))
            return []
        return [(self._partitions[stream], messages) for stream, messages in streams_in(reply)]

    def kept(self) -> Found:
        return []

    async def last(self) -> Found:
        return []


class PartitionReads:
    """One of each stream, on a connection of its own: streams of different slots can't be read in one.

    A read goes on waiting when another has brought something. So up to `count` entries of each partition may have been
    handed to this consumer before it asks for them: they lie in its pending list, and come with its next `read`.
    """

    def __init__(self, trips: Trips, consumer: str, streams: Mapping[int, str]) -> None:
        self._trips = trips
        self._consumer = consumer
        self._streams = streams
        self._under_way: dict[int, asyncio.Task[Sequence[Message]]] = {}
        self._lost: dict[int, StoreDown] = {}
        """Partitions whose latest read failed."""

    async def read(self, count: int, block_ms: int) -> Found:
        end = asyncio.get_running_loop().time() + block_ms / 1000
        while True:
            begun = [self._begin(partition, count, block_ms) for partition in self._streams if self._is_free(partition)]
            if block_ms:
                seconds = max(0.0, end - asyncio.get_running_loop().time())
                await asyncio.wait(self._under_way.values(), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            else:
                await asyncio.gather(*begun)
            found = self._take()
            if len(self._lost) == len(self._streams):
                raise next(iter(self._lost.values()))
            if found or asyncio.get_running_loop().time() >= end:
                return found

    def kept(self) -> Found:
        return _results(self._under_way)

    async def last(self) -> Found:
        if self._under_way:
            await asyncio.wait(self._under_way.values())
        return self._take()

    def _is_free(self, partition: int) -> bool:
        return partition not in self._under_way

    def _begin(self, partition: int, count: int, block_ms: int) -> asyncio.Task[Sequence[Message]]:
        task = asyncio.get_running_loop().create_task(self._read(partition, count, block_ms))
        self._under_way[partition] = task
        return task

    def _take(self) -> Found:
        """What has come, those first that have waited longest: each partition has as much as it was asked for."""
        ended = {partition: task for partition, task in self._under_way.items() if task.done()}
        for partition in ended:
            del self._under_way[partition]
        return _results(ended)

    async def _read(self, partition: int, count: int, block_ms: int) -> Sequence[Message]:
        """Raises nothing that Redis can bring about: one master that is lost must not keep the others' entries."""
        try:
            reply = await self._trips.alone(*words(self._consumer, count, block_ms, [self._streams[partition]]))
        except StoreDown as error:
            await self._mend(partition, error, block_ms)
            return []
        self._lost.pop(partition, None)
        return [message for _, messages in streams_in(reply) for message in messages]

    async def _mend(self, partition: int, error: StoreDown, block_ms: int) -> None:
        if "UNBLOCKED" in str(error.__cause__):
            return  # the stream has left with its slot
        try:
            if has_no_group(error):
                await open_group(self._trips, self._streams[partition], GROUP)
                return
        except StoreDown as again:
            error = again
        if partition not in self._lost:
            _LOG.warning("a partition can't be read", partition=partition, error=str(error))
        self._lost[partition] = error
        await asyncio.sleep(_AFTER_A_LOSS_SECONDS if block_ms else 0)


def _results(tasks: Mapping[int, asyncio.Task[Sequence[Message]]]) -> Found:
    return [(partition, task.result()) for partition, task in tasks.items() if task.done() and task.result()]


def words(consumer: str, count: int, block_ms: int, streams: Sequence[str | bytes]) -> list[str | bytes | int]:
    block: list[str | bytes | int] = ["BLOCK", block_ms] if block_ms else []
    return [
        "XREADGROUP",
        "GROUP",
        GROUP,
        consumer,
        "COUNT",
        count,
        *block,
        "STREAMS",
        *streams,
        *(">" for _ in streams),
    ]
