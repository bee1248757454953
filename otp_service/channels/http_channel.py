"""What all channels over HTTP have in common: their name, their limits in time, and a client that they close."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from otp_service.channels.http import GatewayClient


class HttpSettings(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def answer_within(self) -> float:
        """Seconds until the next channel is tried with the same code."""

    @property
    def deadline(self) -> float:
        """Seconds, total, for one try."""

    @property
    def proxy(self) -> str: ...


Settings = TypeVar("Settings", bound=HttpSettings)


class HttpChannel(Generic[Settings]):
    """`clock` gives seconds since the epoch: gateways check the timestamps and signatures made by it."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.time,
        client: GatewayClient | None = None,
    ) -> None:
        self.name = settings.name
        self.answer_within = settings.answer_within
        self.deadline = settings.deadline
        self._settings = settings
        self._clock = clock
        self._client = client or GatewayClient(proxy=settings.proxy, clock=clock)

    async def aclose(self) -> None:
        await self._client.aclose()
