"""The one place that knows every adapter: from a configuration to what runs."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from otp_service import __version__, store
from otp_service import config as configuration
from otp_service.api_keys import ClientKeys
from otp_service.channels import SmsAspxChannel, SmsAspxSettings
from otp_service.config import Config
from otp_service.config.sections import Channel
from otp_service.delivery import Composer, Delivery, Route, Voice, Worker
from otp_service.delivery.worker import BLOCK_MS
from otp_service.errors import ConfigError
from otp_service.keyring import Keyring
from otp_service.logs import configure_logs
from otp_service.store.facts import ServerFacts, Unreachable
from otp_service.verifier import Verifier
from otp_service.web.admin import admin_app
from otp_service.web.health import Readiness
from otp_service.web.service import Service

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication
    from flask import Flask


def build_keyring(config: Config) -> Keyring:
    return Keyring(config.secret_key_pairs(), config.fingerprint_key())


def build_verifier(config: Config) -> Verifier:
    redis_store = store.RedisStore(store.connect(config.redis.url.get_secret_value()), config.redis.prefix)
    return Verifier(redis_store, build_keyring(config), config.rules())


def build_app(config: Config, verifier: Verifier, draining: Callable[[], bool] = lambda: False) -> Flask:
    """The API. `draining` is asked at each `/readyz`: True takes this process out of the balancer."""
    # Imported here: workers and the command line go without Flask.
    from otp_service.web.app import create_app

    return create_app(Service(verifier, ClientKeys(config.client_keys()), draining, __version__))


def build_admin(is_up: Callable[[], bool], draining: Callable[[], bool]) -> WSGIApplication:
    """What `admin_bind` serves; `is_up` tells whether Redis answers."""
    return admin_app(lambda: Readiness(draining=draining(), redis_up=is_up()))


def build_channel(channel: Channel) -> SmsAspxChannel:
    """Raises ConfigError."""
    return SmsAspxChannel(channel_settings(channel))


def channel_settings(channel: Channel) -> SmsAspxSettings:
    """Raises ConfigError for what its protocol can't work with."""
    return SmsAspxSettings(
        name=channel.name,
        url=channel.url,
        profile=channel.profile,
        encoding=channel.encoding,
        userid=channel.userid,
        account=channel.account,
        password=channel.password.get_secret_value(),
        extno=channel.extno,
        answer_within=channel.answer_within,
        deadline=channel.deadline,
        proxy=channel.proxy.get_secret_value() if channel.proxy else "",
    )


@asynccontextmanager
async def build_worker(config: Config) -> AsyncIterator[Worker]:
    """A worker for the event loop that enters this; leaving closes its connections. Raises ConfigError."""
    channels = [build_channel(channel) for channel in config.channels]
    # Hosts of one image may share a name and a process id: the last word makes each worker its own consumer.
    name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    client = store.connect_async(config.redis.url.get_secret_value(), BLOCK_MS / 1000)
    outbox = store.RedisOutbox(client, name, config.redis.prefix)
    composer = Composer(build_keyring(config), config.rules().policies, build_voices(config))
    delivery = Delivery(outbox, Route(channels, config.routing.on_unknown), composer)
    idle_ms = round(3000 * max(channel.deadline for channel in channels))
    try:
        yield Worker(outbox, delivery, name, config.delivery.concurrency, idle_ms)
    finally:
        for channel in channels:
            await channel.aclose()
        await outbox.aclose()


def build_voices(config: Config) -> dict[str, Voice]:
    """How each channel speaks, by its name."""
    return {name: Voice(said.catalogue, said.signature, config.variables) for name, said in config.texts().items()}


def ask_server(config: Config) -> ServerFacts:
    """Raises store.facts.Unreachable."""
    client = store.connect(config.redis.url.get_secret_value())
    try:
        return ServerFacts.ask(client)
    finally:
        client.close()


def check_server(config: Config) -> str | None:
    """Every key of ours has a TTL, so an evicting server would reset limits and lose sends: refuse it.

    Returns a warning where the server does not tell. Raises ConfigError, or store.facts.Unreachable.
    """
    facts = ask_server(config)
    if facts.evicts and not config.redis.allow_eviction:
        raise ConfigError(
            f"redis: maxmemory-policy is {facts.eviction_policy}, which evicts keys, and with them limits and sends; "
            "set it to noeviction on the server, or redis.allow_eviction = true to accept the loss"
        )
    if facts.eviction_policy is None:
        return "redis: the server does not tell its maxmemory-policy; make sure that it is noeviction"
    return None


def check_start(config: Config, environ: Mapping[str, str]) -> None:
    """What can be refused before anything is asked over the network. Raises ConfigError."""
    if environ.get("FLASK_DEBUG", "0").lower() not in {"", "0", "false", "no"}:  # Flask's own words for "off"
        raise ConfigError("FLASK_DEBUG is set: a debugger gives away codes and keys; unset it")
    for channel in config.channels:
        channel_settings(channel)


def app() -> Flask:
    """The API for another WSGI server, as `gunicorn 'otp_service.wiring:app()'`; its file is named by OTP_CONFIG."""
    configure_logs()
    path = os.environ.get("OTP_CONFIG")
    config = configuration.load(Path(path) if path else None, os.environ)
    check_start(config, os.environ)
    try:
        warning = check_server(config)
    except Unreachable as error:
        warning = f"redis: {error}; its maxmemory-policy is not checked"
    if warning:
        structlog.get_logger("otp_service.wiring").warning(warning)
    return build_app(config, build_verifier(config))
