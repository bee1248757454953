"""Streams and their consumer groups as `Trips` ask for them: the replies are as they come, and read here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any, TypeVar

import structlog

from otp_service.ports import StoreDown
from otp_service.store.trips import Trips

_LOG = structlog.get_logger("otp_service.store")

T = TypeVar("T")


async def open_group(trips: Trips, stream: str, group: str) -> None:
    """Have a group that begins with what the stream holds, and the stream. Raises StoreDown."""
    try:
        await trips.command("XGROUP", "CREATE", stream, group, "0", "MKSTREAM")
    except StoreDown as error:
        if "BUSYGROUP" not in str(error.__cause__):
            raise


def has_no_group(error: StoreDown) -> bool:
    """A server that came back empty, or somebody's mistake: what waits is still to be read."""
    return "NOGROUP" in str(error.__cause__)


async def each(asked: Iterable[Awaitable[T]]) -> list[T]:
    """What was answered: one node of a cluster may be lost, and what the others gave must not be lost with it.

    Raises StoreDown where nothing was answered.
    """
    replies = await asyncio.gather(*asked, return_exceptions=True)
    answered = [reply for reply in replies if not isinstance(reply, BaseException)]
    for error in replies:
        if isinstance(error, BaseException) and not (answered and isinstance(error, StoreDown)):
            raise error
    if len(answered) < len(replies):
        _LOG.warning("Redis answers in part", asked=len(replies), answered=len(answered))
    return answered


def fields_of(row: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(row[::2], row[1::2], strict=True))


def streams_in(reply: Any) -> Sequence[tuple[bytes, Sequence[Any]]]:
    """Of an XREADGROUP: its streams with what was read. A map where RESP3 is spoken, nothing where nothing came."""
    return list(reply.items() if isinstance(reply, dict) else reply or [])
