"""The texts that one channel carries, each checked for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otp_service.config.channel import ChannelSection
from otp_service.errors import ConfigError
from otp_service.messages import Catalogue, Parts, check_text
from otp_service.texts import Signature, Text

if TYPE_CHECKING:
    from otp_service.config.model import Config


@dataclass(frozen=True, slots=True)
class ChannelTexts:
    catalogue: Catalogue
    signature: Signature | None
    parts: Mapping[str, Mapping[str, Parts]]
    """By purpose and locale: the billed size of each text."""
    faults: tuple[str, ...]
    """What is wrong with the texts of a purpose, one line each; nothing in a configuration that loads."""


def texts_of(config: Config, channel: ChannelSection) -> ChannelTexts:
    """Raises ConfigError where no text can be read at all: a broken signature, or broken template syntax."""
    where = f"channels.{channel.name}"
    try:
        signature = _signature(channel)
    except ConfigError as error:
        raise ConfigError(f"{where}.{error}") from error
    catalogue = Catalogue(config.messages, channel.messages, own_where=f"{where}.messages")
    parts, faults = {}, []
    for purpose, rules in config.purposes.items():
        if not channel.carries_text or (channel.purposes and purpose not in channel.purposes):
            continue

        def check(text: Text, purpose: str = purpose) -> Parts:
            return _check(config, channel, signature, purpose, text)

        try:
            parts[purpose] = catalogue.check(purpose, rules.locale, check)
        except ConfigError as error:
            faults.append(str(error))
    return ChannelTexts(catalogue, signature, parts, tuple(faults))


def _signature(channel: ChannelSection) -> Signature | None:
    if not channel.signature:
        return None
    return Signature(channel.signature, channel.signature_position, channel.voice)


def _check(config: Config, channel: ChannelSection, signature: Signature | None, purpose: str, text: Text) -> Parts:
    rules = config.purposes[purpose]
    return check_text(
        text,
        where=f"{text.where} on channel {channel.name}",
        ttl=rules.ttl,
        code_length=rules.code_length,
        max_parts=rules.max_parts,
        encoding=channel.charset,
        signature=signature,
        variables=config.variables,
        webotp_host=rules.webotp_host,
        android_hash=rules.android_hash,
    )
