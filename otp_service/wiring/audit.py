"""The audit trail for whoever acts, and for whoever looks at it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import structlog

from otp_service import store
from otp_service.audit import DONE, FAILED, Act, Entry, Finding, examine
from otp_service.config import Config
from otp_service.keyring import Keyring, SealBroken
from otp_service.ports import AuditTrail, StoreDown
from otp_service.recipient import parse as parse_recipient
from otp_service.wiring.api import build_keyring

_LOG = structlog.get_logger("otp_service.wiring")


@contextmanager
def audit_trail(config: Config) -> Iterator[AuditTrail]:
    """Closed when left."""
    client = store.connect(config.redis.url.get_secret_value())
    try:
        yield store.RedisAudit(client, build_keyring(config), config.redis.prefix, config.retention.domain())
    finally:
        client.close()


@dataclass
class Doing:
    """What is being done. Say in `outcome` what came of it, in words that hold no number."""

    outcome: str = DONE


@contextmanager
def acting(config: Config, act: Act) -> Iterator[Doing]:
    """Do inside what `act` names: it is written down as begun before, and with its outcome after.

    Raises StoreDown before anything is done. An act whose end can't be written down is done all the same, and its
    entry stays as it was begun.
    """
    with audit_trail(config) as trail:
        trail.record_act(act)
        doing = Doing()
        try:
            yield doing
        except BaseException as error:
            doing.outcome = f"{FAILED}: {type(error).__name__}"
            raise
        finally:
            _record_end(trail, replace(act, outcome=doing.outcome))


def _record_end(trail: AuditTrail, act: Act) -> None:
    try:
        trail.record_act(act)
    except StoreDown as error:
        _LOG.error("the end of an act could not be recorded", act=act.name, outcome=act.outcome, error=str(error))


def target_of(config: Config, number: str) -> str:
    """How the trail names a recipient: by the keyed hash that stands in Redis. Raises InvalidRecipient."""
    to = parse_recipient(number, config.service.default_region)
    return f"recipient:{build_keyring(config).recipient(to.e164)}"


def acts(config: Config, since_ms: int, target: str = "") -> Sequence[Entry]:
    """Those of the last `since_ms`, from the oldest on. Raises StoreDown."""
    client = store.connect(config.redis.url.get_secret_value())
    try:
        now = store.RedisStore(client, config.redis.prefix).now()
    finally:
        client.close()
    with audit_trail(config) as trail:
        return [entry for entry in trail.acts(now - since_ms) if target in {"", entry.act.target}]


def examine_audit(config: Config, known: str = "") -> Finding:
    """As `audit.examine`, with the configured keys. Raises StoreDown."""
    keyring = build_keyring(config)
    with audit_trail(config) as trail:
        return examine(trail.acts(), lambda kid, link: _seal(keyring, kid, link), known)


def _seal(keyring: Keyring, kid: str, link: str) -> str | None:
    try:
        return keyring.audit_seal(kid, link)
    except SealBroken:
        return None
