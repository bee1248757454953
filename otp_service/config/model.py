"""`Config`: the whole file, checked, and what it means to the domain."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from pydantic import Field, SecretStr, field_validator

from otp_service import policy
from otp_service.config.challenge import ChallengeSection
from otp_service.config.channel_texts import ChannelTexts, texts_of
from otp_service.config.cross_checks import contradictions
from otp_service.config.fields import Locale, Name
from otp_service.config.protocols import AnyChannel
from otp_service.config.pumping_section import Pumping
from otp_service.config.recipients import Recipients, lists_of
from otp_service.config.retention import RetentionSection
from otp_service.config.section import Section
from otp_service.config.sections import (
    BUILT_IN_PURPOSES,
    Client,
    Delivery,
    Limits,
    Purpose,
    Redis,
    Routing,
    Service,
    TestNumber,
)
from otp_service.config.spend import Spend
from otp_service.config.webhooks import WebhookSection
from otp_service.number_lists import Lists
from otp_service.recipient import parse as parse_recipient


class Config(Section):
    service: Service
    redis: Redis
    purposes: dict[Name, Purpose] = Field(default_factory=dict, validate_default=True)
    messages: dict[Name, dict[Locale, str]] = Field(default_factory=dict)
    variables: dict[str, str] = Field(default_factory=dict)
    limits: Limits = Limits()
    spend: Spend = Spend()
    pumping: Pumping = Pumping()
    routing: Routing = Routing()
    recipients: Recipients = Recipients()
    delivery: Delivery = Delivery()
    retention: RetentionSection = RetentionSection()
    challenge: ChallengeSection | None = None
    channels: tuple[AnyChannel, ...] = Field(min_length=1, description="at least one table [[channels]]")
    clients: tuple[Client, ...] = ()
    test_numbers: tuple[TestNumber, ...] = ()
    webhooks: tuple[WebhookSection, ...] = ()

    @field_validator("purposes", mode="before")
    @classmethod
    def _with_built_in(cls, purposes: Any) -> Any:
        return {**{name: {} for name in BUILT_IN_PURPOSES}, **purposes} if isinstance(purposes, dict) else purposes

    @classmethod
    def named_lists(cls) -> frozenset[str]:
        """Lists whose items have names, by which the environment finds them."""
        return frozenset({"channels", "clients", "webhooks"})

    @cached_property
    def number_lists(self) -> tuple[Mapping[str, Lists], list[str]]:
        """The lists by client, and what is wrong with them: read once, because they may be long."""
        return lists_of(self)

    def contradictions(self) -> list[str]:
        """What is wrong between tables that are each in order, one line each."""
        return list(contradictions(self))

    def warnings(self, today: datetime.date) -> list[str]:
        """What works, but hardly as meant."""
        return [
            *(f"channels.{channel.name}.{line}" for channel in self.channels for line in channel.warnings()),
            *(() if self.limits.failures else ("limits.failures is empty, so nobody who tries codes is made to wait",)),
            *(f"challenge.{line}" for line in (self.challenge.warnings() if self.challenge else ())),
            *(
                f"test_numbers[{index}]: its last day, {entry.until}, is over"
                for index, entry in enumerate(self.test_numbers)
                if entry.until < today
            ),
        ]

    def secret_key_pairs(self) -> tuple[tuple[str, bytes], ...]:
        return self.service.secret_key_pairs()

    def fingerprint_key(self) -> bytes:
        return self.service.fingerprint_key_bytes()

    def rules(self) -> policy.Rules:
        return policy.Rules(
            policies={name: purpose.policy() for name, purpose in self.purposes.items()},
            limits=self.limits.domain(),
            spend=self.spend.domain({one.name: one.spend for one in self.clients if one.spend is not None}),
            default_region=self.service.default_region,
            regions=frozenset(self.routing.regions or filter(None, [self.service.default_region])),
            refused_lines=self.recipients.refused_lines(),
            lists=self.number_lists[0],
            channels=tuple(channel.rule(place) for place, channel in enumerate(self.channels)),
            test_numbers={entry.e164: entry for entry in self._fixed_codes()},
            listened=frozenset(webhook.client or policy.EVERYBODY for webhook in self.webhooks),
            outbox_max=self.delivery.outbox_max,
            pumping=self.pumping.rules(),
        )

    def client_keys(self) -> list[tuple[policy.Client, tuple[str, ...]]]:
        """Each client with the hashes of its API keys."""
        return [(client.domain(), client.key_hashes) for client in self.clients]

    def mark(self) -> str:
        """Tells this configuration from every other: processes that go by the same one have the same mark.

        Keyed, as it is shown in metrics and passwords are in it. Addresses to listen at are each process's own.
        """
        meant = self.as_set() | {
            "service": self.service.as_set("bind", "admin_bind"),
            "delivery": self.delivery.as_set("admin_bind"),
        }
        text = json.dumps(meant, default=_in_clear, sort_keys=True)
        return hmac.new(self.fingerprint_key(), text.encode(), hashlib.sha256).hexdigest()[:12]

    def texts(self) -> Mapping[str, ChannelTexts]:
        """What each channel says, by its name."""
        return {channel.name: texts_of(self, channel) for channel in self.channels}

    def _fixed_codes(self) -> Iterator[policy.TestNumber]:
        for entry in self.test_numbers:
            number = parse_recipient(entry.number, self.service.default_region).e164
            yield policy.TestNumber(number, entry.code.get_secret_value(), entry.until)


def _in_clear(value: Any) -> Any:
    if isinstance(value, Section):
        return value.as_set()
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
