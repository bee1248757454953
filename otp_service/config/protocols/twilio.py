"""`protocol = "twilio"`: Twilio's Messages resource."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, StringConstraints, field_validator, model_validator

from otp_service.config.channel import ChannelSection, http_address


class Twilio(ChannelSection):
    protocol: Literal["twilio"] = Field(description='"twilio"')
    url: str = Field("https://api.twilio.com", description='an address such as "https://api.twilio.com"')
    account_sid: Annotated[str, StringConstraints(pattern=r"^AC[0-9a-f]{32}$")] = Field(
        description="the account's SID: AC and 32 characters of 0-9 and a-f"
    )
    auth_token: SecretStr = Field(min_length=1, description="the account's auth token, or auth_token_file")
    api_key: Annotated[str, StringConstraints(pattern=r"^(SK[0-9a-f]{32})?$")] = Field(
        "", description="the API key's SID: SK and 32 characters of 0-9 and a-f"
    )
    api_key_secret: SecretStr | None = Field(
        None, min_length=1, description="the API key's secret, or api_key_secret_file"
    )
    sender: Annotated[str, StringConstraints(pattern=r"^(\+[0-9]{5,15}|MG[0-9a-f]{32}|[A-Za-z0-9 +_&-]{1,11})$")] = (
        Field(description="a number with +, a sender name of at most 11 characters, or MG…")
    )
    status_callback: str = Field("", description="the address at which Twilio is to report, with https://")

    @property
    def report_way(self) -> Literal["off", "poll", "push"]:
        return self.reports or ("push" if self.status_callback else "off")

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        return http_address(url)

    @field_validator("status_callback")
    @classmethod
    def _is_http_or_empty(cls, url: str) -> str:
        return http_address(url, query=".*") if url else url

    @model_validator(mode="after")
    def _has_a_whole_key(self) -> Self:
        if bool(self.api_key) != bool(self.api_key_secret):
            lacking = "api_key_secret" if self.api_key else "api_key"
            raise ValueError(f"{lacking}: missing; write api_key and api_key_secret, or neither of them")
        return self
