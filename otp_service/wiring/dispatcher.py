"""What tells callers of events, with everything that it works with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from otp_service import store
from otp_service.channels.hook_receiver import PinnedReceiver, SystemResolver
from otp_service.channels.http import GatewayClient
from otp_service.config import Config
from otp_service.egress import Target
from otp_service.events import Webhook
from otp_service.hooks import Dispatcher, Lane
from otp_service.hooks.lane import CONCURRENCY
from otp_service.ports import EventLog, HookState, StoreDown
from otp_service.wiring.api import build_keyring

if TYPE_CHECKING:
    import redis.asyncio


def build_dispatcher(config: Config, client: redis.asyncio.Redis) -> Dispatcher | None:
    """The dispatcher of the configured webhooks, None where there are none. The caller closes `client`.

    Run it in the worker's event loop, `stop` it together with the worker, `aclose` it when `run` has returned.
    """
    if not config.webhooks:
        return None
    queue = store.RedisHookQueue(client, config.redis.prefix)
    keyring = build_keyring(config)
    lanes = [Lane(webhook, queue, _receiver(webhook), keyring) for webhook in _webhooks(config)]
    return Dispatcher(build_event_log(config, client), queue, lanes)


def _receiver(webhook: Webhook) -> PinnedReceiver:
    target = Target.parse(webhook.url, webhook.allow)
    return PinnedReceiver(webhook.url, target, GatewayClient(max_connections=CONCURRENCY), SystemResolver())


def build_event_log(config: Config, client: redis.asyncio.Redis) -> EventLog:
    """Where `emit` writes down the installation's own events."""
    return store.RedisEventLog(client, config.redis.prefix)


async def hook_states(config: Config, client: redis.asyncio.Redis) -> tuple[Sequence[HookState], Sequence[str]]:
    """How each webhook's queue stands, for those who only look; and of which that is not known, in words."""
    queue, found, unknown = store.RedisHookQueue(client, config.redis.prefix), list[HookState](), list[str]()
    for webhook in _webhooks(config):
        try:
            found += await queue.states([webhook])
        except StoreDown:
            unknown.append(f"the webhook {webhook.name}")
    return found, unknown


def _webhooks(config: Config) -> list[Webhook]:
    return [section.domain() for section in config.webhooks]
