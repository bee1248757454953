"""The delivery worker, with everything that it works with."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from otp_service import __version__, store
from otp_service.config import Config
from otp_service.delivery import Composer, Delivery, Route, Router, Voice, Worker
from otp_service.delivery.crew import Crew, Member
from otp_service.delivery.delivery import Announce
from otp_service.delivery.worker import BLOCK_MS
from otp_service.ports import Channel
from otp_service.wiring.announcing import Announcer
from otp_service.wiring.api import build_keyring
from otp_service.wiring.channels import build_channel
from otp_service.wiring.dispatcher import build_dispatcher, build_event_log
from otp_service.wiring.reports import Tools, build_listeners, reporting


@asynccontextmanager
async def build_worker(config: Config) -> AsyncIterator[Crew]:
    """All that a worker process does, for the event loop that enters this; leaving closes its connections.

    Raises ConfigError.
    """
    channels = [build_channel(channel) for channel in config.channels]
    tools = _tools(config)
    announcer = Announcer(tools.events)
    dispatcher = build_dispatcher(config, tools.client)
    listeners = build_listeners(config, channels, tools)
    hooks: dict[str, Member] = {"webhooks": dispatcher} if dispatcher else {}
    try:
        yield Crew(_worker(config, channels, tools, announcer), {**hooks, **listeners})
    finally:
        await announcer.aclose()
        if dispatcher:
            await dispatcher.aclose()
        for channel in channels:
            await channel.aclose()
        await tools.client.aclose()


def _tools(config: Config) -> Tools:
    # Hosts of one image may share a name and a process id: the last word makes each worker its own consumer.
    name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    client = store.connect_async(config.redis.url.get_secret_value(), BLOCK_MS / 1000)
    retention = config.retention.domain()
    trips = store.trips_to(client, store.retaining(retention, config.redis.fence))
    keyring = build_keyring(config)
    return Tools(
        client=client,
        trips=trips,
        outbox=store.RedisOutbox(client, name, keyring, config.redis.prefix, trips=trips, tries_ms=retention.tries),
        standings=store.RedisStandings(trips, config.redis.prefix),
        keyring=keyring,
        events=build_event_log(config, client),
        holder=name,
    )


def _worker(config: Config, channels: Sequence[Channel], tools: Tools, announce: Announce) -> Worker:
    rules = config.rules()
    composer = Composer(tools.keyring, rules.policies, build_voices(config))
    deadlines = {channel.name: channel.deadline for channel in channels}
    router = Router(tools.standings, rules.channels, deadlines)
    route = Route(channels, router, config.routing.on_unknown, reporting(config), announce)
    delivery = Delivery(tools.outbox, route, composer)
    idle_ms = round(3000 * max(channel.deadline for channel in channels))
    return Worker(
        tools.outbox,
        delivery,
        router,
        tools.holder,
        config.delivery.concurrency,
        idle_ms,
        presence=store.RedisPresence(tools.trips, config.redis.prefix),
        version=__version__,
    )


def build_voices(config: Config) -> dict[str, Voice]:
    """How each channel speaks, by its name."""
    extnos = {channel.name: channel.extnos for channel in config.channels}
    return {
        name: Voice(said.catalogue, said.signature, config.variables, extnos[name])
        for name, said in config.texts().items()
    }
