"""`protocol = "aliyun"`: Aliyun's SendSms."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints, field_validator

from otp_service.config.key_material import check_word
from otp_service.config.protocols.templated import TemplatedChannel, check_values, host_address


class Aliyun(TemplatedChannel):
    protocol: Literal["aliyun"] = Field(description='"aliyun"')
    url: str = Field("https://dysmsapi.aliyuncs.com", description='an address such as "https://dysmsapi.aliyuncs.com"')
    access_key_id: str = Field(min_length=1, description="the AccessKey's ID")
    access_key_secret: SecretStr = Field(min_length=1, description="the AccessKey's secret, or access_key_secret_file")
    signature: str = Field(min_length=2, max_length=20, description="the filed signature's name, without 【】")
    template_params: dict[str, str] = Field(
        {"code": "{{ code }}"}, description='a table of the templates\' variables, such as code = "{{ code }}"'
    )
    extend_code: Annotated[str, StringConstraints(pattern=r"^[0-9]{0,10}$")] = Field(
        "", description="at most 10 digits, in quotes"
    )
    push_secret: SecretStr | None = Field(
        None, description="at least 16 letters and digits, or push_secret_file; it follows ?key= in the pushes' address"
    )

    @property
    def report_way(self) -> Literal["off", "poll", "push"]:
        return self.reports or ("push" if self.push_secret else "off")

    @field_validator("url")
    @classmethod
    def _is_a_host(cls, url: str) -> str:
        return host_address(url)

    @field_validator("template_params")
    @classmethod
    def _fills_in_the_code(cls, params: dict[str, str]) -> dict[str, str]:
        check_values(params.values())
        return params

    @field_validator("push_secret")
    @classmethod
    def _stands_in_an_address(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and not re.fullmatch(r"[A-Za-z0-9._~-]{16,128}", secret.get_secret_value()):
            raise ValueError("too short, or not fit for an address")
        if secret is not None:
            check_word(secret.get_secret_value())
        return secret
