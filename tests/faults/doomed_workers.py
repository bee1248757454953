"""`python -m tests.faults.doomed_workers CONFIG`: makes workers that kill themselves at a named point, one a line.

Reads a point a line, starts a worker that does its work until it gets there, and answers with the number of the signal
that ended it. The workers are forked from a process that has imported everything, so that hundreds cost seconds.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NoReturn

from otp_service import config as configuration
from otp_service import wiring
from otp_service.channels.http import GatewayClient
from otp_service.channels.sms_aspx import SmsAspxChannel
from otp_service.config import Config
from otp_service.delivery import Composer, Router
from otp_service.store import RedisOutbox

BEFORE, AFTER = "before", "after"

POINTS: dict[str, tuple[type, str, str]] = {
    "read": (RedisOutbox, "read", AFTER),
    "plan": (Router, "plan", AFTER),
    "take": (RedisOutbox, "take", AFTER),
    "compose": (Composer, "compose", AFTER),
    "before the bytes": (SmsAspxChannel, "deliver", BEFORE),
    "after the bytes": (GatewayClient, "request", AFTER),
    "before record": (RedisOutbox, "record", BEFORE),
    "after record": (RedisOutbox, "record", AFTER),
    "before settle": (RedisOutbox, "settle", BEFORE),
    "after settle": (RedisOutbox, "settle", AFTER),
}
"""Where a worker may die, in the order of its work. After the bytes the gateway has accepted."""


def main() -> None:
    config = configuration.load(Path(sys.argv[1]), {})
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _die_at(*POINTS[line.strip()])
            asyncio.run(_work(config))
        _, status = os.waitpid(child, 0)
        print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, flush=True)


async def _work(config: Config) -> None:
    async with wiring.build_worker(config) as worker:
        await worker.run()


def _die_at(owner: type, name: str, when: str) -> None:
    """In this process, which has no other purpose. It takes over nothing: it is to die of what it has read."""

    async def nothing(*_: object) -> tuple[()]:
        return ()

    RedisOutbox.reclaim = nothing  # type: ignore[method-assign,assignment]
    step = getattr(owner, name)
    setattr(owner, name, _asked(step, when) if asyncio.iscoroutinefunction(step) else _called(step))


def _asked(step: Callable[..., Awaitable[Any]], when: str) -> Callable[..., Awaitable[Any]]:
    async def dying(*arguments: Any, **more: Any) -> Any:
        if when == BEFORE:
            _die()
        result = await step(*arguments, **more)
        if result or step.__name__ != "read":
            _die()
        return result

    return dying


def _called(step: Callable[..., Any]) -> Callable[..., NoReturn]:
    def dying(*arguments: Any) -> NoReturn:
        step(*arguments)
        _die()

    return dying


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("a killed process goes on")


if __name__ == "__main__":
    main()
