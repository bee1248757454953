"""What is counted of a number, for whoever looks at it or forgets it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from otp_service import store
from otp_service.config import Config
from otp_service.ports import Origin, RecipientLimits, Tally
from otp_service.recipient import parse as parse_recipient
from otp_service.wiring.api import build_keyring


@dataclass(frozen=True, slots=True)
class Tallies:
    now: int
    to: str
    """Masked."""
    tallies: Sequence[Tally]


def tallies(config: Config, number: str) -> Tallies:
    """Every window that counts for a number, over all configured clients. Raises InvalidRecipient, StoreDown."""
    to, origins = _origins(config, number)
    shown: dict[tuple[str, str, int], Tally] = {}
    now = 0
    with _open(config) as kept:
        for origin in origins:
            now, found = kept.show(origin, recipient_limits(config))
            shown.update({(one.limit, one.client, one.seconds): one for one in found})
    return Tallies(now, to, list(shown.values()))


def clear(config: Config, number: str, *, with_prefix: bool) -> str:
    """Forget what is counted of a number, over all configured clients; its mask. Raises as `tallies`."""
    to, origins = _origins(config, number)
    with _open(config) as kept:
        for origin in origins:
            kept.clear(origin, recipient_limits(config), with_prefix=with_prefix)
    return to


def recipient_limits(config: Config) -> RecipientLimits:
    """The limits that are kept for one recipient."""
    rules = config.rules()
    windows = {rule.name: rule.recipient_windows for rule in rules.channels}
    kept = rules.limits
    return RecipientLimits(kept.recipient, kept.failures, kept.prefix, kept.disable_after, windows)


def _origins(config: Config, number: str) -> tuple[str, Sequence[Origin]]:
    """The mask, and the number as each client's keys name it."""
    to, keyring = parse_recipient(number, config.service.default_region), build_keyring(config)
    recipient, prefix = keyring.recipient(to.e164), keyring.prefix(to.prefix)
    partition = keyring.partition(to.prefix)
    return to.mask, [
        Origin(
            client.name,
            partition,
            recipient,
            keyring.owner(client.name, recipient),
            prefix,
            keyring.scopes(client.name, config.rules().policies, to.e164),
        )
        for client in config.clients
    ]


@contextmanager
def _open(config: Config) -> Iterator[store.RedisTallies]:
    client = store.connect(config.redis.url.get_secret_value())
    try:
        yield store.RedisTallies(client, config.redis.prefix)
    finally:
        client.close()
