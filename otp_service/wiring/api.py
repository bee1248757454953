"""The API, its administrative address, and what both judge by."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from otp_service import __version__, store
from otp_service import config as configuration
from otp_service.config import Config
from otp_service.guard import Guard
from otp_service.keyring import Keyring
from otp_service.logs import configure_logs
from otp_service.store.durability import REPLICA_WITHIN_MS
from otp_service.store.facts import Unreachable
from otp_service.verifier import Verifier
from otp_service.web.service import Service
from otp_service.wiring.announcing import announce_finding
from otp_service.wiring.callers import build_client_keys
from otp_service.wiring.challenge import build_challenge
from otp_service.wiring.server import check_server, check_start

if TYPE_CHECKING:
    from flask import Flask


def build_keyring(config: Config) -> Keyring:
    return Keyring(config.secret_key_pairs(), config.fingerprint_key())


def build_verifier(config: Config) -> Verifier:
    client, scripts = (
        store.connect(config.redis.url.get_secret_value()),
        store.retaining(config.retention.domain(), config.redis.fence),
    )
    keyring, rules, prefix = build_keyring(config), config.rules(), config.redis.prefix
    guard = Guard(store.RedisGuard(client, prefix, scripts), keyring, rules.pumping, announce_finding)
    challenge = build_challenge(config, keyring, client)
    acts = store.RedisAudit(client, keyring, prefix, config.retention.domain())
    replica_within = REPLICA_WITHIN_MS if config.redis.durability == "wait" else 0
    kept = store.RedisStore(client, prefix, scripts, store.lane_to(client), replica_within)
    return Verifier(kept, keyring, rules, challenge, pumping_guard=guard, acts=acts)


def build_app(
    config: Config, verifier: Verifier, draining: Callable[[], bool] = lambda: False, threads: int = 64
) -> Flask:
    """The API. `draining` is asked at each `/readyz`: True takes this process out of the balancer.

    `threads` is how many requests the server works on at once.
    """
    # Imported here: workers and the command line go without Flask.
    from otp_service.web.app import create_app
    from otp_service.web.headroom import Headroom
    from otp_service.wiring.pushes import build_push_desk

    pushes = build_push_desk(config, build_keyring(config))
    keys = build_client_keys(config)
    service = Service(verifier, keys, draining, __version__, pushes, config.service.fast_path)
    return create_app(service, Headroom(config.service.concurrency, threads))


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
