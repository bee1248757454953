"""`Worker`: a member of the consumer group. It reads what waits, takes over what a dead one left, ends what is due."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from itertools import count

import structlog

from otp_service.delivery.delivery import Delivery
from otp_service.delivery.routing import LOOK_SECONDS, Router
from otp_service.ports import Entry, Finished, Outbox, Presence, StoreDown, WorkerSign
from otp_service.seldom import Seldom
from otp_service.verification import Status

_LOG = structlog.get_logger("otp_service.worker")

BLOCK_MS = 1000
"""How long one read waits: it wakes at once for an entry, and a stop waits no longer than this."""
_BATCH = 64
_SHARE = 8
"""The most that one read takes of one partition: it may find as much in every one of them."""
_TICK_SECONDS = 1.0
_AFTER_A_LOSS_SECONDS = 0.5
_BEAT_SECONDS = 2.0
"""How often a worker says that it lives: five times before anybody thinks it dead."""


class Worker:
    """`idle_ms`: an entry whose reader says nothing for so long (≥ 3 × the longest deadline) is taken over."""

    def __init__(
        self,
        outbox: Outbox,
        delivery: Delivery,
        router: Router,
        name: str,
        concurrency: int = 256,
        idle_ms: int = 15_000,
        block_ms: int = BLOCK_MS,
        presence: Presence | None = None,
        version: str = "",
    ) -> None:
        self._outbox = outbox
        self._delivery = delivery
        self._router = router
        self._name = name
        self._concurrency = concurrency
        self._idle_ms = idle_ms
        self._block_ms = block_ms
        self._presence = presence
        self._version = version
        self._began = time.monotonic()
        self._done = 0
        self._lost = Seldom()
        self._fences = count()
        self._active: dict[asyncio.Task[None], Entry] = {}
        # A read can only say how many it wants of each partition: what comes beyond the room waits here for its turn.
        self._turns = asyncio.Semaphore(concurrency)
        self._busy = 0
        """Of the active ones: those that don't only listen any more for a late answer, or that wait for their turn."""
        self._spread = 1
        self._room = asyncio.Event()
        self._stopping = asyncio.Event()
        self._drained = asyncio.Event()
        self.ready = False
        """True once the consumer group stands and Redis answers."""

    def stop(self) -> None:
        """Read nothing more; what was begun is finished."""
        self._stopping.set()

    async def run(self, drain_seconds: float = 20.0) -> bool:
        """Work until `stop`; then give what is under way `drain_seconds`. True when all of it was finished."""
        try:
            return await self._run(drain_seconds)
        finally:
            # Whoever is cancelled here may have children that missed it: a cancel within a call of Redis can be lost.
            self._stopping.set()
            self._drained.set()

    async def _run(self, drain_seconds: float) -> bool:
        await self._until_it_works(self._outbox.open)
        await self._until_it_works(self._look)
        self.ready = True
        reader = asyncio.create_task(self._every(0.0, self._read, self._stopping))
        others = [
            asyncio.create_task(self._every(seconds, step, self._drained))
            for seconds, step in (
                (_TICK_SECONDS, self._wake),
                (LOOK_SECONDS, self._look),
                (self._idle_ms / 3000, self._reclaim),
                (self._idle_ms / 3000, self._renew),
                *([(_BEAT_SECONDS, self._beat)] if self._presence else []),
            )
        ]
        # The reader ends by itself within one block: a read that is cut off would lose what it was being given. The
        # others end by themselves as well: a cancel within a call of a Redis client may be lost.
        await reader
        for entry in await self._outbox.last():
            self._begin(entry)
        drained = await self._drain(drain_seconds)
        self._drained.set()
        await asyncio.gather(*others)
        await self._leave()
        self.ready = False
        return drained

    async def _drain(self, seconds: float) -> bool:
        if not self._active:
            return True
        _, unfinished = await asyncio.wait(set(self._active), timeout=seconds)
        for task in unfinished:
            task.cancel()
        return not unfinished

    # --- the loops ------------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        await self._router.refresh()

    async def _read(self) -> None:
        if self._router.pauses.until(self._router.now):
            # Every send is paused: they wait in the outbox, in their order.
            await asyncio.sleep(LOOK_SECONDS)
            return
        free = self._concurrency - self._busy
        if free <= 0:
            self._room.clear()
            await self._room.wait()
            return
        entries = await self._outbox.read(max(1, min(free // self._spread, _SHARE)), self._block_ms)
        self._spread = max(1, len({entry.partition for entry in entries}))
        for entry in entries:
            self._begin(entry)

    async def _reclaim(self) -> None:
        if self._busy >= self._concurrency or self._stopping.is_set():
            return
        for entry in await self._outbox.reclaim(self._idle_ms, _BATCH):
            _LOG.warning("taking over a send that a worker left", id=entry.id, send=entry.send)
            self._begin(entry)

    async def _renew(self) -> None:
        await self._outbox.renew(list(self._active.values()))

    async def _wake(self) -> None:
        due = _BATCH
        while due >= _BATCH:
            due, finished = await self._outbox.wake(_BATCH)
            await self._credit(finished)

    async def _credit(self, finished: Sequence[Finished]) -> None:
        """Tell the channels how many of the verifications that they carried came to an approval."""
        count: Counter[str] = Counter()
        good: Counter[str] = Counter()
        for one in finished:
            count.update(one.channels)
            good.update(one.channels if one.status == Status.APPROVED else ())
        for channel, ended in count.items():
            await self._router.standings.credit(channel, "c", ended, good[channel])

    async def _beat(self) -> None:
        if self._presence:
            up_ms = round((time.monotonic() - self._began) * 1000)
            await self._presence.beat(WorkerSign(self._name, self._version, up_ms, len(self._active), self._done))

    async def _leave(self) -> None:
        if self._presence:
            with contextlib.suppress(StoreDown):  # then its sign ages
                await self._presence.leave(self._name)

    async def _every(self, seconds: float, step: Callable[[], Awaitable[None]], end: asyncio.Event) -> None:
        while not end.is_set():
            await self._until_it_works(step)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(end.wait(), seconds) if seconds else await asyncio.sleep(0)

    async def _until_it_works(self, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await step()
            except StoreDown as error:
                self._say_lost(error)
                if self._stopping.is_set():
                    return
                await asyncio.sleep(_AFTER_A_LOSS_SECONDS)
            except Exception:
                # One fault of ours must not end a loop, and with it all sends, without a word.
                _LOG.exception("a step of the worker failed")
                if self._stopping.is_set():
                    return
                await asyncio.sleep(_AFTER_A_LOSS_SECONDS)
            else:
                return

    def _say_lost(self, error: StoreDown) -> None:
        """Six loops would say it twice a second."""
        unsaid = self._lost.say(time.monotonic(), str(error))
        if unsaid is not None:
            _LOG.warning("Redis does not answer", error=str(error), unsaid=unsaid)

    # --- one entry ------------------------------------------------------------------------------------------------

    def _begin(self, entry: Entry) -> None:
        task = asyncio.create_task(self._work(entry, f"{self._name}.{next(self._fences)}"))
        self._active[task] = entry
        self._busy += 1
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._active[task]
        self._done += 1

    def _make_room(self) -> None:
        self._busy -= 1
        self._room.set()

    async def _work(self, entry: Entry, fence: str) -> None:
        try:
            with contextlib.ExitStack() as turn:
                turn.callback(self._make_room)
                await self._turns.acquire()
                turn.callback(self._turns.release)
                # A gateway that falls silent would else take every turn for its whole deadline.
                await self._delivery.deliver(entry, fence, turn.close)
        except StoreDown as error:
            _LOG.warning("a send is left to be taken over: Redis does not answer", id=entry.id, error=str(error))
        except Exception:
            # It stays in the pending list and is taken over: a fault of ours must not lose a send.
            _LOG.exception("a send could not be worked on", id=entry.id)
