"""What the pumping guard holds, as operators see it, and how they lift it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from otp_service import store
from otp_service.config import Config
from otp_service.keyring import Keyring, SealBroken
from otp_service.ports import HeldRange, Hold
from otp_service.pumping import Level, Suspicion
from otp_service.recipient import parse, regions
from otp_service.wiring.api import build_keyring


@dataclass(frozen=True, slots=True)
class Pumped:
    """What looks pumped. Moments are milliseconds, Redis's clock."""

    level: Level
    what: str
    """The region, or the prefix, masked."""
    reason: Suspicion
    approved: str
    """Of how many ended sends: `0/10`."""
    since: int
    until: int


def pumped(config: Config) -> tuple[Sequence[Pumped], Sequence[str]]:
    """Oldest first, and what is not known of it; nothing where the guard is off. Raises StoreDown."""
    if config.pumping.mode == "off":
        return (), ()
    keyring = build_keyring(config)
    with _book(config) as book:
        held = book.held()
        return [_shown(keyring, one) for one in held.ranges], held.unknown


def lift(config: Config, what: str) -> bool:
    """End the block of a region, or of a number's prefix, and forget what led to it; False when there was none.

    Raises InvalidRecipient for what is neither, StoreDown.
    """
    with _book(config) as book:
        return book.lift(_range(config, what))


def _range(config: Config, what: str) -> HeldRange:
    nothing = Hold(Suspicion.CONVERSION, 0, 0, "")
    if what in regions():
        return HeldRange(Level.COUNTRY, what, nothing)
    keyring, prefix = build_keyring(config), parse(what, config.service.default_region).prefix
    return HeldRange(Level.PREFIX, keyring.prefix(prefix), nothing, keyring.partition(prefix))


def _shown(keyring: Keyring, one: HeldRange) -> Pumped:
    what = one.name
    if one.level is Level.PREFIX:
        try:
            what = keyring.unseal(one.kid, one.name, "prefix", one.mask)
        except SealBroken:
            what = "sealed under a key that is gone"
    held = one.held
    return Pumped(one.level, what, held.reason, held.tally, held.since, held.until)


@contextmanager
def _book(config: Config) -> Iterator[store.RedisGuard]:
    client = store.connect(config.redis.url.get_secret_value())
    try:
        yield store.RedisGuard(client, config.redis.prefix)
    finally:
        client.close()
