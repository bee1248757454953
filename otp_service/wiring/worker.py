"""The delivery worker, with everything that it works with."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from otp_service import __version__, store
from otp_service.config import Config
from otp_service.delivery import Composer, Delivery, Route, Router, Voice, Worker
from otp_service.delivery.worker import BLOCK_MS
from otp_service.store.scripts import SCRIPTS
from otp_service.wiring.api import build_keyring
from otp_service.wiring.channels import build_channel


@asynccontextmanager
async def build_worker(config: Config) -> AsyncIterator[Worker]:
    """A worker for the event loop that enters this; leaving closes its connections. Raises ConfigError."""
    channels = [build_channel(channel) for channel in config.channels]
    # Hosts of one image may share a name and a process id: the last word makes each worker its own consumer.
    name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    client = store.connect_async(config.redis.url.get_secret_value(), BLOCK_MS / 1000)
    trips = store.Trips(client, SCRIPTS)
    outbox = store.RedisOutbox(client, name, config.redis.prefix, trips=trips)
    rules = config.rules()
    composer = Composer(build_keyring(config), rules.policies, build_voices(config))
    deadlines = {channel.name: channel.deadline for channel in channels}
    router = Router(store.RedisStandings(trips, config.redis.prefix), rules.channels, deadlines)
    delivery = Delivery(outbox, Route(channels, router, config.routing.on_unknown), composer)
    idle_ms = round(3000 * max(channel.deadline for channel in channels))
    presence = store.RedisPresence(trips, config.redis.prefix)
    concurrency = config.delivery.concurrency
    try:
        yield Worker(outbox, delivery, router, name, concurrency, idle_ms, presence=presence, version=__version__)
    finally:
        for channel in channels:
            await channel.aclose()
        await outbox.aclose()


def build_voices(config: Config) -> dict[str, Voice]:
    """How each channel speaks, by its name."""
    extnos = {channel.name: channel.extnos for channel in config.channels}
    return {
        name: Voice(said.catalogue, said.signature, config.variables, extnos[name])
        for name, said in config.texts().items()
    }
