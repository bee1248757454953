"""The tables of the file. Each key's `description` finishes the sentence "write …" of the error about it."""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Literal, Self

from phonenumbers import SUPPORTED_REGIONS
from pydantic import Field, SecretStr, StringConstraints, field_validator, model_validator

from otp_service import policy
from otp_service.config.fields import (
    NAME_HINT,
    Address,
    BindAddress,
    Int,
    Items,
    Key,
    KeyPair,
    Limit,
    Locale,
    Name,
)
from otp_service.config.key_material import decode_key, decode_key_pair
from otp_service.config.recipients import WithLists
from otp_service.config.section import Section
from otp_service.config.spend import CAP, Money
from otp_service.redis_url import parse_redis_url

BUILT_IN_PURPOSES = ("login", "signup", "password_reset")
DRAIN_SECONDS = 20
"""A stop takes no longer: what orchestrators give before they kill is 30 s."""

_LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_TOP_LABEL = "[a-z]([a-z0-9-]{0,61}[a-z0-9])?"
"""Without it, an IPv4 address would be a host name."""
_HOST = f"^({_LABEL}[.])+{_TOP_LABEL}$"
_WINDOWS = 'limits such as ["5/1h", "10/24h"]'


class Service(Section):
    bind: BindAddress = Field(Address("127.0.0.1", 8000), description='"host:port"')
    admin_bind: BindAddress = Field(Address("127.0.0.1", 9000), description='"host:port"')
    public_url: str = Field(
        "", description='the address under which gateways reach this service, such as "https://otp.example.com", or ""'
    )
    secret_keys: Annotated[tuple[KeyPair, ...], Items] = Field(
        min_length=1, description='["<kid>:<base64 of 32 random bytes>"], made by `otp-service secrets new`'
    )
    fingerprint_key: Key = Field(description="base64 of 32 random bytes, made by `otp-service secrets new`")
    default_region: str = Field("", description='a region such as "CN", or "" to take only numbers with + and country')
    concurrency: Int = Field(16, ge=1, le=1024, description="1 to 1024 starts and resends at once per API process")
    allow_test_numbers: bool = Field(False, description="true or false")
    fast_path: bool = Field(True, description="true or false")
    watch_files: bool = Field(False, description="true or false")

    @field_validator("default_region")
    @classmethod
    def _is_region(cls, region: str) -> str:
        if region and region not in SUPPORTED_REGIONS:
            raise ValueError("not an ISO 3166 region")
        return region

    @field_validator("public_url")
    @classmethod
    def _is_address(cls, url: str) -> str:
        if url and not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*)?", url):
            raise ValueError("not an http:// or https:// address without a query")
        return url

    @model_validator(mode="after")
    def _keys_differ(self) -> Self:
        pairs = self.secret_key_pairs()
        if len({kid for kid, _ in pairs}) < len(pairs):
            raise ValueError("secret_keys: two have the same kid; give each its own")
        if len({key for _, key in pairs} | {self.fingerprint_key_bytes()}) <= len(pairs):
            raise ValueError("secret_keys and fingerprint_key must all differ; make one with `otp-service secrets new`")
        return self

    def secret_key_pairs(self) -> tuple[tuple[str, bytes], ...]:
        return tuple(decode_key_pair(pair.get_secret_value()) for pair in self.secret_keys)

    def fingerprint_key_bytes(self) -> bytes:
        return decode_key(self.fingerprint_key.get_secret_value())


class Redis(Section):
    url: SecretStr = Field(
        description='"redis://host:6379/0", "rediss://…", "unix:///path", "redis+sentinel://h1,h2/mymaster" or '
        '"redis+cluster://h1,h2"'
    )
    prefix: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,32}$")] = Field(
        "otp", description="1 to 32 characters of A-Z, a-z, 0-9, _ and -"
    )
    durability: Literal["async", "wait"] = Field("async", description='"async" or "wait"')
    fence: bool = Field(False, description="true or false")
    allow_eviction: bool = Field(False, description="true or false")

    @field_validator("url")
    @classmethod
    def _is_known_scheme(cls, url: SecretStr) -> SecretStr:
        parse_redis_url(url.get_secret_value())
        return url


class Purpose(Section):
    code_length: Int = Field(6, description="6 to 10 digits")
    ttl: Int = Field(300, description="60 to 600 seconds, up to 1800 only with allow_long_ttl = true")
    allow_long_ttl: bool = Field(False, description="true or false")
    max_attempts: Int = Field(5, ge=1, le=10, description="1 to 10")
    max_sends: Int = Field(4, ge=1, le=10, description="1 to 10, the first included")
    cooldown: Annotated[tuple[Annotated[Int, Field(ge=1, le=3600)], ...], Items] = Field(
        (60, 60, 120), min_length=1, max_length=10, description="1 to 10 waits in seconds, such as [60, 60, 120]"
    )
    resend: Literal["reuse", "rotate"] = Field("reuse", description='"reuse" or "rotate"')
    token_ttl: Int = Field(600, ge=60, le=3600, description="60 to 3600 seconds")
    max_parts: Int = Field(1, ge=1, le=10, description="1 to 10 SMS")
    locale: Locale = Field("zh-CN", description="a locale such as zh-CN, zh-TW or en")
    webotp_host: Annotated[str, StringConstraints(pattern=f"{_HOST}|^$", max_length=253)] = Field(
        "", description='a host name such as "login.example.com", or ""'
    )
    android_hash: Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9+/]{11})?$")] = Field(
        "", description='the 11 characters of the app\'s SMS Retriever hash, or ""'
    )

    @field_validator("code_length")
    @classmethod
    def _is_allowed_length(cls, length: int) -> int:
        if length not in policy.CODE_LENGTHS:
            raise ValueError("too short or too long (NIST SP 800-63B: at least 6)")
        return length

    @model_validator(mode="after")
    def _lives_no_longer_than_allowed(self) -> Self:
        allowed = policy.LONG_TTL_SECONDS if self.allow_long_ttl else policy.TTL_SECONDS
        if self.ttl not in allowed:
            hint = "" if self.allow_long_ttl else " (NIST SP 800-63B); up to 1800 only with allow_long_ttl = true"
            raise ValueError(f"ttl: {self.ttl} is out of range; write {allowed[0]} to {allowed[-1]} seconds{hint}")
        return self

    def policy(self) -> policy.Policy:
        return policy.Policy(**self.as_set("allow_long_ttl"))


class Limits(Section):
    recipient: Annotated[tuple[Limit, ...], Items] = Field(policy.Limits().recipient, description=_WINDOWS)
    failures: Annotated[tuple[Limit, ...], Items] = Field(policy.Limits().failures, description=_WINDOWS)
    disable_after: Int = Field(100, ge=0, description="a count of consecutive failures, 0 for never")
    client_ip: Annotated[tuple[Limit, ...], Items] = Field(policy.Limits().client_ip, description=_WINDOWS)
    prefix: Annotated[tuple[Limit, ...], Items] = Field(policy.Limits().prefix, description=_WINDOWS)
    session: Annotated[tuple[Limit, ...], Items] = Field((), description=_WINDOWS)
    device: Annotated[tuple[Limit, ...], Items] = Field((), description=_WINDOWS)
    country: Annotated[tuple[Limit, ...], Items] = Field((), description=_WINDOWS)
    client: Annotated[tuple[Limit, ...], Items] = Field((), description=_WINDOWS)
    installation: Annotated[tuple[Limit, ...], Items] = Field((), description=_WINDOWS)

    spray_brake: bool = Field(True, description="true or false")

    def domain(self) -> policy.Limits:
        return policy.Limits(**self.__dict__)


class Routing(Section):
    regions: Annotated[tuple[str, ...], Items] | None = Field(
        None, min_length=1, description='regions such as ["CN", "HK"], or ["*"] for everywhere'
    )
    on_unknown: Literal["failover", "hold"] = Field("failover", description='"failover" or "hold"')

    @field_validator("regions")
    @classmethod
    def _are_regions(cls, regions: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for region in regions or ():
            if region != "*" and region not in SUPPORTED_REGIONS:
                raise ValueError(f"{region[:8]!r} is not an ISO 3166 region")
        return regions


class Delivery(Section):
    admin_bind: BindAddress | None = Field(
        None, description='"host:port": the worker\'s own admin address, where it shares a host with the API'
    )
    outbox_max: Int = Field(10_000, ge=1, le=1_000_000, description="1 to 1000000 sends that may wait in one partition")
    concurrency: Int = Field(256, ge=1, le=1024, description="1 to 1024 tries in flight per worker")
    drain_seconds: Int = Field(10, ge=1, le=DRAIN_SECONDS, description=f"1 to {DRAIN_SECONDS}")


class Client(WithLists):
    name: Name = Field(description=NAME_HINT)
    key_hashes: Annotated[tuple[str, ...], Items] = Field(
        (), max_length=2, description="at most two hashes, as `otp-service keys new` prints them"
    )
    purposes: Annotated[tuple[Name, ...], Items] = Field(BUILT_IN_PURPOSES, description='such as ["login", "signup"]')
    require: Annotated[
        tuple[Literal["session", "device", "context", "locale", "client_ip", "metadata"], ...], Items
    ] = Field((), description='any of "session", "device", "context", "locale", "client_ip", "metadata"')
    challenge: Literal["never", "suspicious", "always"] = Field(
        "suspicious", description='"never", "suspicious" or "always"'
    )

    spend: Money | None = Field(None, description=CAP)

    def domain(self) -> policy.Client:
        return policy.Client(self.name, frozenset(self.purposes), frozenset(self.require), self.challenge)


class TestNumber(Section):
    __test__ = False  # the name starts with Test; it is none of pytest's business

    number: str = Field(description="a phone number with + and country code")
    code: SecretStr = Field(description="the fixed code, digits in quotes")
    until: datetime.date = Field(description="the last day on which it works, such as 2027-01-31")
