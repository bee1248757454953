"""What every `[[channels]]` table may hold, whatever its protocol: what it carries, in which order, in which voice."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import SplitResult, urlsplit

from phonenumbers import SUPPORTED_REGIONS
from pydantic import Field, SecretStr, StringConstraints, field_validator, model_validator

from otp_service.config.fields import NAME_HINT, Float, Int, Items, Limit, Locale, Name
from otp_service.config.section import Section
from otp_service.policy import Window
from otp_service.routes import ChannelRule

_WINDOWS = 'limits such as ["5/1h", "10/24h"]'
_CREDENTIALS = (
    *("account", "userid", "password", "auth_token", "access_key_id", "access_key_secret", "secret_id", "secret_key"),
    *("api_key", "api_secret", "signature_secret", "push_secret", "report_secret", "sender_id", "host"),
)
"""Keys of the protocols' tables that end up in a line of a request, or in what is signed of one."""
_LINE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]*")
_FILLED_IN = re.compile(r"\{\{[^{}]*\}\}")
_EXTNO = re.compile(r"[ -~]{0,32}")
_EXTNO_KEY = re.compile(r"(\*|[a-z][a-z0-9_-]{0,31})(/[a-z][a-z0-9_-]{0,31})?")


class ChannelSection(Section):
    """One protocol's table extends this. `protocol` chooses the table."""

    name: Name = Field(description=NAME_HINT)
    protocol: str
    signature: str = Field("", max_length=20, description="2 to 20 characters, without 【】")
    signature_position: Literal["front", "rear", "gateway"] = Field(
        "front", description='"front", "rear" or "gateway" (it adds the signature itself)'
    )
    messages: dict[Name, dict[Locale, str]] = Field({}, description="texts by purpose and locale")
    answer_within: Float = Field(1.5, gt=0, description="seconds, less than deadline")
    deadline: Float = Field(5.0, gt=0, le=30, description="seconds, at most 30")
    proxy: SecretStr | None = Field(None, description='"http://host:port"')

    purposes: Annotated[tuple[Name, ...], Items] | None = Field(
        None, min_length=1, description='the purposes that it carries, such as ["login"]'
    )
    clients: Annotated[tuple[Name, ...], Items] | None = Field(
        None, min_length=1, description='the clients that it serves, such as ["shop"]'
    )
    regions: Annotated[tuple[str, ...], Items] | None = Field(
        None, min_length=1, description='the regions that it reaches, such as ["CN"], or ["*"]'
    )
    prefixes: Annotated[tuple[Annotated[str, StringConstraints(pattern=r"^\+[0-9]{1,14}$")], ...], Items] | None = (
        Field(None, min_length=1, description='beginnings of numbers, such as ["+86138", "+852"]')
    )
    priority: Int | None = Field(
        None, ge=0, le=1000, description="0 to 1000; the lowest goes first, by default the order of the file"
    )
    weight: Int = Field(1, ge=1, le=1000, description="1 to 1000: its share among channels of one priority")
    recipient_limits: Annotated[tuple[Limit, ...], Items] | None = Field(None, description=_WINDOWS)
    extnos: dict[str, str] = Field({}, description='by "client", "client/purpose" or "*/purpose"')
    reports: Literal["off", "poll", "push"] | None = Field(
        None, description='"off", "poll" (we ask the gateway) or "push" (it posts to /reports/<name>)'
    )
    report_interval: Float = Field(5.0, ge=1, le=3600, description="1 to 3600 seconds between two polls")
    balance_low: Float | None = Field(None, description="a balance below which you want to be told")

    signature_style: ClassVar[Literal["brackets", "prefix"]] = "prefix"
    home_regions: ClassVar[frozenset[str] | None] = None
    """Where gateways of this kind reach people at all; None for no bound."""
    carries_text: ClassVar[bool] = True
    """False where the gateway holds the texts and is given the values only."""

    default_reports: ClassVar[Literal["off", "poll", "push"]] = "off"
    """Off where asking could take rows away from another program of the same account."""

    @property
    def report_way(self) -> Literal["off", "poll", "push"]:
        return self.reports or self.default_reports

    @property
    def charset(self) -> Literal["utf-8", "gbk"]:
        """What the gateway takes texts in."""
        return "utf-8"

    @property
    def default_recipient_limits(self) -> tuple[Window, ...]:
        """What gateways of this kind are known to refuse beyond: they order the channels, and refuse nothing."""
        return ()

    @property
    def voice(self) -> Literal["brackets", "prefix"]:
        """How this channel's texts are signed."""
        return self.signature_style

    def warnings(self) -> list[str]:
        """What works, but hardly as meant: the key, a colon and what it is, one line each."""
        return []

    def plain(self) -> dict[str, Any]:
        """Every key with its value: secrets as text, tables as such, "" for what is not given."""
        return _plain_table(self)

    def rule(self, place: int) -> ChannelRule:
        """What it carries, and when its turn comes: by its priority, else by its `place` in the file."""
        return ChannelRule(
            name=self.name,
            purposes=_set(self.purposes),
            clients=_set(self.clients),
            regions=_set(self.regions),
            prefixes=self.prefixes or (),
            home=self.home_regions,
            priority=place if self.priority is None else self.priority,
            weight=self.weight,
            recipient_windows=self.default_recipient_limits if self.recipient_limits is None else self.recipient_limits,
            strict=bool(self.recipient_limits),
        )

    @field_validator("regions")
    @classmethod
    def _are_regions(cls, regions: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for region in regions or ():
            if region != "*" and region not in SUPPORTED_REGIONS:
                raise ValueError(f"{region[:8]!r} is not an ISO 3166 region")
        return regions

    @field_validator("extnos")
    @classmethod
    def _are_extnos(cls, extnos: dict[str, str]) -> dict[str, str]:
        for key in extnos:
            if not _EXTNO_KEY.fullmatch(key):
                raise ValueError(f'{key[:32]!r} names nobody; write "client", "client/purpose" or "*/purpose"')
            if not _EXTNO.fullmatch(extnos[key]):
                raise ValueError(f"that of {key} holds what no sender may; write at most 32 ASCII characters")
        return extnos

    @field_validator(*_CREDENTIALS, check_fields=False)
    @classmethod
    def _is_one_line(cls, value: SecretStr | str | None) -> SecretStr | str | None:
        if not _LINE.fullmatch(value.get_secret_value() if isinstance(value, SecretStr) else value or ""):
            raise ValueError("holds a line end or another control character")
        return value

    @field_validator("proxy")
    @classmethod
    def _is_proxy(cls, proxy: SecretStr | None) -> SecretStr | None:
        if proxy is not None:
            _split(proxy.get_secret_value())
        return proxy

    @model_validator(mode="after")
    def _answers_before_its_deadline(self) -> Self:
        if self.answer_within >= self.deadline:
            raise ValueError("answer_within: must be less than deadline")
        return self


def _set(names: tuple[str, ...] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(names)


class FreeSection(ChannelSection):
    """A protocol that leaves it to us how a text is signed."""

    signature_brackets: bool = Field(False, description="true (【Acme】, as carriers in China require) or false")

    @property
    def voice(self) -> Literal["brackets", "prefix"]:
        return "brackets" if self.signature_brackets else "prefix"


def _plain_table(table: Section) -> dict[str, Any]:
    return {key: _plain(getattr(table, key)) for key in type(table).model_fields}


def _plain(value: object) -> object:
    if isinstance(value, Section):
        return _plain_table(value)
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    return "" if value is None else value


def http_address(url: str, query: str = "") -> str:
    """Check a gateway's address; `query` is a pattern of what may follow the ?. Raises ValueError."""
    parts = _split(url)
    if parts.username or parts.password or parts.fragment or not re.fullmatch(query, parts.query):
        raise ValueError("holds a user, a query or a fragment; credentials have their own keys")
    return url


def _split(url: str) -> SplitResult:
    """Raises ValueError for what is no address, and for one with a character that ends a line or that some drop."""
    if not re.fullmatch(r"[!-~]*", _FILLED_IN.sub("", url)):
        raise ValueError("holds a blank or a character that is not ASCII; write it as %20 and so on, a host as xn--…")
    parts = urlsplit(url)
    try:
        has_port = parts.port != 0
    except ValueError:
        has_port = False
    if parts.scheme not in {"http", "https"} or not parts.hostname or not has_port:
        raise ValueError("not an http:// or https:// address")
    return parts
