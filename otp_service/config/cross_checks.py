"""What no table shows alone: names that must exist or differ, texts that every channel must be able to carry."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from otp_service import policy
from otp_service.api_keys import ClientKeys
from otp_service.config.channel import ChannelSection
from otp_service.config.channel_texts import texts_of
from otp_service.config.explain import nearest
from otp_service.config.known_secrets import PUBLISHED_KEY_HASHES
from otp_service.config.protocols import TemplatedChannel
from otp_service.config.secret_uses import shared
from otp_service.config.sections import Client
from otp_service.config.webhooks import WebhookSection
from otp_service.errors import ConfigError, InvalidRecipient
from otp_service.recipient import parse as parse_recipient

if TYPE_CHECKING:
    from otp_service.config.model import Config


_EVERY_HOST = {"", "0.0.0.0", "::"}  # noqa: S104


def contradictions(config: Config) -> Iterator[str]:
    yield from _twins("channels", config.channels)
    yield from _twins("clients", config.clients)
    yield from _twins("webhooks", config.webhooks)
    yield from shared(config)
    yield from _keys(config)
    yield from _purposes(config)
    yield from _regions(config)
    yield from _prices(config)
    yield from _pumping(config)
    yield from _test_numbers(config)
    yield from config.number_lists[1]
    yield from _listeners(config)
    yield from _challenged(config)
    yield from _templates(config)
    yield from _addresses(config)
    yield from _carried(config)
    for channel in config.channels:
        yield from _texts(config, channel)


def _addresses(config: Config) -> Iterator[str]:
    api, admin = config.service.bind, config.service.admin_bind
    if api.port == admin.port != 0 and (api.host == admin.host or {api.host, admin.host} & _EVERY_HOST):
        yield "service.admin_bind: it is the address of service.bind; write another port"


def _twins(kind: str, items: Sequence[ChannelSection | Client | WebhookSection]) -> Iterator[str]:
    seen: set[str] = set()
    for item in items:
        plain = item.name.replace("-", "_")
        if plain in seen:
            yield f"{kind}.{item.name}: two have this name (- and _ count as one); rename one"
        seen.add(plain)


def _carried(config: Config) -> Iterator[str]:
    """Every purpose needs a channel, and a channel names only what there is."""
    clients = [client.name for client in config.clients]
    for channel in config.channels:
        for client in channel.clients or ():
            if client not in clients:
                known = ", ".join(clients) or "none"
                yield f"channels.{channel.name}.clients: no client is called {client!r}; there are {known}"
    for purpose in config.purposes:
        if not any(channel.purposes is None or purpose in channel.purposes for channel in config.channels):
            yield f"purposes.{purpose}: no channel carries it; add it to the purposes of one"


def _pumping(config: Config) -> Iterator[str]:
    if config.pumping.mode == "challenge" and config.challenge is None:
        yield 'pumping.mode: "challenge" needs a table [challenge] that says who judges the CAPTCHA; or write "block"'


def _prices(config: Config) -> Iterator[str]:
    """A cap counts only what has a price: a country without one would be free."""
    spend = config.spend
    capped = [key for key in ("client", "installation") if getattr(spend, key) is not None]
    capped += [f"clients.{client.name}.spend" for client in config.clients if client.spend is not None]
    if not capped or policy.EVERYBODY in spend.prices:
        return
    regions = config.routing.regions or (config.service.default_region,)
    missing = [region for region in regions if region and region not in spend.prices]
    if missing:
        unpriced = "the countries that are open" if "*" in missing else ", ".join(missing)
        yield f'spend.prices: a cap ({capped[0]}) needs a price for {unpriced}; write one, or "*" for all others'


def _keys(config: Config) -> Iterator[str]:
    try:
        ClientKeys(config.client_keys())
    except ConfigError as error:
        yield f"clients: {error}"
    for client in config.clients:
        if PUBLISHED_KEY_HASHES.intersection(client.key_hashes):
            mend = f"make one with `otp-service keys new {client.name}`"
            yield f"clients.{client.name}.key_hashes: holds the key of an example, which everybody knows; {mend}"


def _purposes(config: Config) -> Iterator[str]:
    uses = [(f"clients.{client.name}.purposes", purpose) for client in config.clients for purpose in client.purposes]
    uses += [(f"messages.{purpose}", purpose) for purpose in config.messages]
    uses += [
        (f"channels.{channel.name}.purposes", purpose)
        for channel in config.channels
        for purpose in channel.purposes or ()
    ]
    uses += [
        (f"channels.{channel.name}.messages.{purpose}", purpose)
        for channel in config.channels
        for purpose in channel.messages
    ]
    uses += [
        (f"channels.{channel.name}.templates.{key}", key.partition("/")[0])
        for channel in config.channels
        if isinstance(channel, TemplatedChannel)
        for key in channel.templates
    ]
    for where, purpose in uses:
        if purpose not in config.purposes:
            known = ", ".join(config.purposes)
            yield f"{where}: no purpose is called {purpose!r}; there are {known}{nearest(purpose, config.purposes)}"


def _regions(config: Config) -> Iterator[str]:
    if not config.routing.regions and not config.service.default_region:
        yield 'routing.regions: missing; write regions such as ["CN", "HK"], or ["*"] for everywhere'


def _test_numbers(config: Config) -> Iterator[str]:
    if config.test_numbers and not config.service.allow_test_numbers:
        yield "test_numbers: refused unless service.allow_test_numbers = true, since their codes are no secret"
    lengths = sorted({purpose.code_length for purpose in config.purposes.values()})
    for index, entry in enumerate(config.test_numbers):
        code = entry.code.get_secret_value()
        if not re.fullmatch(r"[0-9]+", code) or len(code) not in lengths:
            yield f"test_numbers[{index}].code: write {' or '.join(map(str, lengths))} digits, as code_length says"
        try:
            parse_recipient(entry.number, config.service.default_region)
        except InvalidRecipient as error:
            yield f"test_numbers[{index}].number: {error.detail}"


def _listeners(config: Config) -> Iterator[str]:
    known = [client.name for client in config.clients]
    for webhook in config.webhooks:
        if webhook.client and webhook.client not in known:
            there_are = f"there are {', '.join(known)}" if known else "there is none"
            yield (
                f"webhooks.{webhook.name}.client: no client is called {webhook.client!r}; {there_are}"
                f"{nearest(webhook.client, known)}"
            )


def _challenged(config: Config) -> Iterator[str]:
    if config.challenge is None:
        for client in config.clients:
            if client.challenge == "always":
                yield (
                    f'clients.{client.name}.challenge: "always" needs a CAPTCHA service; write a table [challenge], or '
                    'write "suspicious" or "never"'
                )
    elif config.challenge.lets_everybody_pass and not config.service.allow_test_numbers:
        yield (
            "challenge.secret: the service's published test key, which lets everybody pass; write your own, or for "
            "tests service.allow_test_numbers = true"
        )


def _templates(config: Config) -> Iterator[str]:
    """A gateway that holds the texts carries no purpose without one; a locale without its own takes the purpose's."""
    for channel in config.channels:
        if not isinstance(channel, TemplatedChannel):
            continue
        for purpose in channel.purposes or config.purposes:
            if purpose not in channel.templates:
                yield (
                    f"channels.{channel.name}.templates: none for the purpose {purpose}; write its code or number, as "
                    f'{purpose} = "…", or name in channels.{channel.name}.purposes only those that it carries'
                )


def _texts(config: Config, channel: ChannelSection) -> Iterator[str]:
    try:
        yield from texts_of(config, channel).faults
    except ConfigError as error:
        yield str(error)
