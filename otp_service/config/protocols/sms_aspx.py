"""`protocol = "sms_aspx"`."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, StringConstraints, field_validator, model_validator

from otp_service.config.channel import ChannelSection, http_address
from otp_service.config.fields import WordSecret
from otp_service.policy import Window

_GBK_PATH = re.compile(r"gbk\.aspx/*$", re.IGNORECASE)
_LONGEST_EXTNO = {"v2": 10}
_USUAL_EXTNO = 5


class SmsAspx(ChannelSection):
    """The `sms.aspx` gateway family, and the miaodi industry API."""

    protocol: Literal["sms_aspx"] = Field(description='"sms_aspx"')
    url: str = Field(description='the gateway\'s address, such as "https://sms.example.com/sms.aspx"')
    profile: Literal["seed", "classic", "v2", "huaxin", "miaodi"] = Field(
        "seed", description='"seed", "classic", "v2", "huaxin" or "miaodi"'
    )
    encoding: Literal["utf-8", "gbk"] = Field(
        "utf-8", description='"utf-8" or "gbk"; "gbk" is the default where the path of url ends in GBK.aspx'
    )
    userid: str = Field("", max_length=64, description="text in quotes, at most 64 characters")
    account: str = Field(min_length=1, description="the account's name")
    password: SecretStr = Field(min_length=1, description="the account's password, or password_file")
    extno: Annotated[str, StringConstraints(pattern=r"^[0-9]{0,10}$")] = Field(
        "", description="at most 5 digits, or 10 with profile v2, in quotes"
    )
    report_secret: WordSecret | None = Field(
        None, description="at least 16 characters, or report_secret_file: who knows it may push reports"
    )
    signature: str = Field(min_length=2, max_length=20, description="2 to 20 characters, without 【】")

    signature_style: ClassVar[Literal["brackets", "prefix"]] = "brackets"
    home_regions: ClassVar[frozenset[str] | None] = frozenset({"CN"})

    @model_validator(mode="before")
    @classmethod
    def _default_by_address_and_profile(cls, given: Any) -> Any:
        """What is written wins. A path for GBK misreads UTF-8, and huaxin refuses a signature in front."""
        if not isinstance(given, dict):
            return given
        defaults: dict[str, Any] = {}
        if speaks_gbk(str(given.get("url", ""))):
            defaults["encoding"] = "gbk"
        if given.get("profile") == "huaxin":
            defaults["signature_position"] = "rear"
        return defaults | given

    @model_validator(mode="after")
    def _has_short_extnos(self) -> Self:
        longest = _LONGEST_EXTNO.get(self.profile, _USUAL_EXTNO)
        if len(self.extno) > longest:
            raise ValueError(f"extno: profile {self.profile} takes at most {longest} digits")
        for key, extno in self.extnos.items():
            if not re.fullmatch(rf"[0-9]{{0,{longest}}}", extno):
                raise ValueError(f"extnos: that of {key} must be at most {longest} digits with profile {self.profile}")
        return self

    @property
    def charset(self) -> Literal["utf-8", "gbk"]:
        return self.encoding

    @property
    def default_recipient_limits(self) -> tuple[Window, ...]:
        """Their documents: miaodi 4 an hour, others of the family 5."""
        return (Window(4 if self.profile == "miaodi" else 5, 3600),)

    def warnings(self) -> list[str]:
        if not speaks_gbk(self.url) or self.encoding == "gbk":
            return []
        return [f'encoding: is "{self.encoding}", and the path of url reads texts as GBK; take out one of the two']

    @model_validator(mode="after")
    def _can_report(self) -> Self:
        if self.reports == "poll" and self.profile == "miaodi":
            raise ValueError('reports: profile miaodi has no query for reports; write "push" or "off"')
        if self.reports == "push" and self.report_secret is None:
            raise ValueError("report_secret: missing; reports are pushed to an address that anybody may write to")
        return self

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        return http_address(url, query=r"(action=[a-z]*)?")


def speaks_gbk(url: str) -> bool:
    """Whether the family's paths say that texts are read as GBK at this address: `smsGBK.aspx`, `v2smsGBK.aspx`."""
    try:
        return _GBK_PATH.search(urlsplit(url).path) is not None
    except ValueError:
        return False
