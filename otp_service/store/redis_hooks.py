"""`RedisHookQueue`: the HookQueue of `ports`. One script a step, on Redis's clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import redis.asyncio

from otp_service.events import Event, Webhook
from otp_service.ports import Fate, Hook, HookState
from otp_service.store.cluster_trips import trips_to
from otp_service.store.event_rows import packed, unpacked
from otp_service.store.keys import Keys
from otp_service.store.rows import text
from otp_service.store.scripts import SCRIPTS as DEFAULT_SCRIPTS
from otp_service.store.scripts import Script

MOST_QUEUED = 100_000
"""Events that may wait for one webhook; further ones are dropped. At 400 bytes each, 40 MB."""
LIFE_MS = 5 * 86_400_000
"""Longer than the schedule of attempts (3 days 4 hours, and a fifth more by jitter): what is older is nobody's."""
REMEMBERED_MS = 900_000
"""Longer than it takes until an event whose reader died is read again."""
MOST_REMEMBERED = 20_000
GONE_LIFE_MS = 30 * 86_400_000


class RedisHookQueue:
    def __init__(
        self,
        client: redis.asyncio.Redis,
        prefix: str = "otp",
        most: int = MOST_QUEUED,
        scripts: Mapping[str, Script] = DEFAULT_SCRIPTS,
    ) -> None:
        self._run = trips_to(client, scripts).script
        self._keys = Keys(prefix)
        self._most = most

    async def add(self, webhook: Webhook, events: Sequence[Event]) -> int:
        arguments: list[str | bytes | int] = [self._most, LIFE_MS]
        for event in events:
            arguments += (event.id, packed(event))
        return int(await self._run("hook_add", [*self._waiting(webhook), *self._ended(webhook)], arguments))

    async def claim(self, webhook: Webhook, count: int, lease_ms: int) -> Sequence[Hook]:
        keys = [*self._waiting(webhook), self._gone(webhook)]
        now, claimed = await self._run("hook_claim", keys, [count, lease_ms, LIFE_MS])
        hooks = []
        for id, attempt, row in claimed:
            event = unpacked(text(id), row)
            if event is None:
                await self._settle(webhook, text(id), int(attempt), Fate.DONE, 0)
            else:
                hooks.append(Hook(event, int(attempt), int(now)))
        return hooks

    async def settle(self, webhook: Webhook, hook: Hook, fate: Fate, delay_ms: int = 0) -> bool:
        return await self._settle(webhook, hook.event.id, hook.attempt, fate, delay_ms)

    async def _settle(self, webhook: Webhook, id: str, attempt: int, fate: Fate, delay_ms: int) -> bool:
        arguments: list[str | bytes | int] = [
            id,
            attempt,
            fate,
            delay_ms,
            REMEMBERED_MS,
            MOST_REMEMBERED,
            GONE_LIFE_MS,
        ]
        return bool(await self._run("hook_settle", [*self._waiting(webhook), *self._ended(webhook)], arguments))

    async def states(self, webhooks: Sequence[Webhook]) -> Sequence[HookState]:
        return [await self._state(webhook) for webhook in webhooks]

    async def _state(self, webhook: Webhook) -> HookState:
        keys = [self._keys.hooks_due(webhook.name), self._gone(webhook)]
        queued, late, gone = await self._run("hook_state", keys, [GONE_LIFE_MS])
        return HookState(webhook.name, int(queued), int(late), int(gone) if gone else None)

    def _waiting(self, webhook: Webhook) -> list[str]:
        return [self._keys.hooks_due(webhook.name), self._keys.hooks(webhook.name)]

    def _ended(self, webhook: Webhook) -> list[str]:
        return [self._keys.hooks_done(webhook.name), self._gone(webhook)]

    def _gone(self, webhook: Webhook) -> str:
        return self._keys.hooks_gone(webhook.name, webhook.url_name)
