"""`protocol = "twilio"`: Twilio's Messages resource."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints, field_validator

from otp_service.config.channel import ChannelSection, http_address


class Twilio(ChannelSection):
    protocol: Literal["twilio"] = Field(description='"twilio"')
    url: str = Field("https://api.twilio.com", description='an address such as "https://api.twilio.com"')
    account_sid: Annotated[str, StringConstraints(pattern=r"^AC[0-9a-f]{32}$")] = Field(
        description="the account's SID: AC and 32 characters of 0-9 and a-f"
    )
    auth_token: SecretStr = Field(min_length=1, description="the account's auth token, or auth_token_file")
    sender: str = Field(min_length=3, max_length=40, description="a number with +, a sender name, or MG…")

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        return http_address(url)
