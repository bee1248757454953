"""`AsyncScripts`: how a worker runs scripts and commands, with every loss translated once."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

import redis.asyncio
from redis.exceptions import NoScriptError

from otp_service.ports import StoreDown
from otp_service.store.connection import Lost
from otp_service.store.scripts import Script


class AsyncScripts:
    """Both methods raise `StoreDown`."""

    def __init__(self, client: redis.asyncio.Redis, scripts: Mapping[str, Script]) -> None:
        self._client = client
        self._scripts = scripts

    async def run(self, name: str, keys: Sequence[str], arguments: Sequence[str | bytes | int]) -> Any:
        script = self._scripts[name]
        try:
            return await self.answer(self._client.evalsha(script.sha, len(keys), *keys, *arguments))
        except NoScriptError:
            return await self.answer(self._client.eval(script.text, len(keys), *keys, *arguments))

    async def answer(self, asked: Awaitable[Any]) -> Any:
        try:
            return await asked
        except NoScriptError:
            raise
        except Lost as error:
            raise StoreDown(type(error).__name__) from error
