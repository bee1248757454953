"""`protocol = "tencent"`: Tencent Cloud's SendSms."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints, field_validator

from otp_service.config.fields import Items
from otp_service.config.protocols.templated import TemplatedChannel, check_values, host_address


class Tencent(TemplatedChannel):
    protocol: Literal["tencent"] = Field(description='"tencent"')
    url: str = Field(
        "https://sms.tencentcloudapi.com", description='an address such as "https://sms.tencentcloudapi.com"'
    )
    region: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,4}(-[a-z0-9]+)+$")] = Field(
        "ap-guangzhou", description='a region of the interface, such as "ap-guangzhou" or "ap-singapore"'
    )
    secret_id: str = Field(min_length=1, description="the API key's SecretId")
    secret_key: SecretStr = Field(min_length=1, description="the API key's SecretKey, or secret_key_file")
    sdk_app_id: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,20}$")] = Field(
        description='the application\'s SdkAppId, in quotes, such as "1400006666"'
    )
    signature: str = Field("", max_length=20, description="the filed signature's name, without 【】")
    template_params: Annotated[tuple[str, ...], Items] = Field(
        ("{{ code }}", "{{ minutes }}"), description='the values in the templates\' order, such as ["{{ code }}"]'
    )
    sender_id: str = Field("", max_length=20, description="the Sender ID for numbers outside mainland China")
    extend_code: Annotated[str, StringConstraints(pattern=r"^[0-9]{0,10}$")] = Field(
        "", description="at most 10 digits, in quotes"
    )

    @field_validator("url")
    @classmethod
    def _is_a_host(cls, url: str) -> str:
        return host_address(url)

    @field_validator("template_params")
    @classmethod
    def _fills_in_the_code(cls, params: tuple[str, ...]) -> tuple[str, ...]:
        check_values(params)
        return params
