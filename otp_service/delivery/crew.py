"""`Crew`: everything that one worker process does, as one: started, stopped and watched together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol

import structlog

_LOG = structlog.get_logger("otp_service.worker")

AGAIN_SECONDS = 1.0


class Member(Protocol):
    def stop(self) -> None:
        """Begin nothing more."""
        ...

    async def run(self, drain_seconds: float) -> bool:
        """Work until `stop`; then finish within `drain_seconds`. True when all of it was finished."""
        ...


class Leader(Member, Protocol):
    """Who does what the process is for."""

    @property
    def ready(self) -> bool: ...


class Crew:
    """`others` by the names of their work."""

    def __init__(self, leader: Leader, others: Mapping[str, Member]) -> None:
        self._leader = leader
        self._members: dict[str, Member] = {"delivery": leader, **others}
        self._stopping = asyncio.Event()

    @property
    def ready(self) -> bool:
        return self._leader.ready

    def stop(self) -> None:
        self._stopping.set()
        for member in self._members.values():
            member.stop()

    async def run(self, drain_seconds: float = 20.0) -> bool:
        """Until `stop`. True when every member finished what it had begun."""
        runs = [self._keep_running(name, member, drain_seconds) for name, member in self._members.items()]
        return all(await asyncio.gather(*runs))

    async def _keep_running(self, name: str, member: Member, drain_seconds: float) -> bool:
        """A member that falls is said to have, and begins anew; the others don't notice."""
        while True:
            try:
                return await member.run(drain_seconds)
            except Exception:
                _LOG.exception("a part of the worker failed and is begun anew", part=name)
            try:
                await asyncio.wait_for(self._stopping.wait(), AGAIN_SECONDS)
            except TimeoutError:
                continue
            return False
