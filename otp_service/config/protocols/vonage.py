"""`protocol = "vonage"`: Vonage's SMS API."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints, field_validator

from otp_service.config.channel import ChannelSection, http_address


class Vonage(ChannelSection):
    protocol: Literal["vonage"] = Field(description='"vonage"')
    url: str = Field("https://rest.nexmo.com", description='an address such as "https://rest.nexmo.com"')
    api_key: str = Field(min_length=1, description="the account's API key")
    api_secret: SecretStr = Field(min_length=1, description="the account's API secret, or api_secret_file")
    sender: Annotated[str, StringConstraints(pattern=r"^([0-9]{3,15}|[A-Za-z0-9 ._&-]{1,11})$")] = Field(
        description="a number without +, or a sender name of at most 11 characters"
    )
    signature_secret: SecretStr | None = Field(
        None, min_length=1, description="the account's signature secret, or signature_secret_file"
    )
    signature_method: Literal["md5hash", "sha256"] = Field(
        "md5hash", description='"md5hash" or "sha256", as the account\'s settings say'
    )
    callback: str = Field("", description="the address at which Vonage is to report, with https://")

    @property
    def report_way(self) -> Literal["off", "poll", "push"]:
        return self.reports or ("push" if self.signature_secret else "off")

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        return http_address(url)

    @field_validator("callback")
    @classmethod
    def _is_http_or_empty(cls, url: str) -> str:
        return http_address(url, query=".*") if url else url
