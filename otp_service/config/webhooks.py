"""`[[webhooks]]`: who is told of events, and of which."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, field_validator, model_validator

from otp_service.config.fields import NAME_HINT, Items, Name
from otp_service.config.key_material import decode_webhook_secret
from otp_service.config.section import Section
from otp_service.egress import Target
from otp_service.events import TYPES, Webhook, matches

_ALLOWED = re.compile(r"([a-z0-9._-]+|\[[0-9a-f:.]+\]):[0-9]{1,5}", re.IGNORECASE)


def _webhook_secret(secret: SecretStr) -> SecretStr:
    decode_webhook_secret(secret.get_secret_value())
    return secret


Secret = Annotated[SecretStr, AfterValidator(_webhook_secret)]


class WebhookSection(Section):
    name: Name = Field(description=NAME_HINT)
    url: SecretStr = Field(description='the receiver\'s address, such as "https://shop.example.com/otp-events"')
    secrets: Annotated[tuple[Secret, ...], Items] = Field(
        min_length=1, max_length=2, description='["whsec_<base64 of 24 to 64 random bytes>"], two while one rotates'
    )
    client: Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9_-]{0,31})?$")] = Field(
        "", description='the client whose events these are, or "" for everybody\'s'
    )
    events: Annotated[tuple[str, ...], Items] = Field(
        ("*",), min_length=1, description='events such as ["delivery.*", "verification.approved"]'
    )
    allow: Annotated[tuple[str, ...], Items] = Field(
        (), description='"host:port" in your own network that it may go to, such as ["hooks.internal:8080"]'
    )

    @field_validator("events")
    @classmethod
    def _are_events(cls, events: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in events:
            if not any(matches([pattern], type) for type in TYPES):
                raise ValueError(f"{pattern[:32]!r} fits no event; there are {', '.join(TYPES)}")
        return events

    @field_validator("allow")
    @classmethod
    def _are_exact(cls, allow: tuple[str, ...]) -> tuple[str, ...]:
        for entry in allow:
            if not _ALLOWED.fullmatch(entry):
                raise ValueError(f'{entry[:64]!r} is no "host:port"; write one such as "hooks.internal:8080"')
        return allow

    @model_validator(mode="after")
    def _goes_where_it_may(self) -> Self:
        try:
            Target.parse(self.url.get_secret_value(), self.allow)
        except ValueError as error:
            raise ValueError(f"url: {error}") from error
        if len({decode_webhook_secret(secret.get_secret_value()) for secret in self.secrets}) < len(self.secrets):
            raise ValueError("secrets: twice the same; write one, or the old and the new")
        return self

    def domain(self) -> Webhook:
        return Webhook(
            name=self.name,
            url=self.url.get_secret_value(),
            secrets=tuple(secret.get_secret_value().strip() for secret in self.secrets),
            client=self.client,
            events=self.events,
            allow=frozenset(self.allow),
        )
