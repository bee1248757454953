"""What `PUT /api/accounts/{account}` may set, checked strictly: a message says which field to mend."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from otp_service.simulator import signing
from otp_service.simulator.dialects import Profile, Shape
from otp_service.simulator.faults import BY_NAME, OF_THE_WIRE, makes_sense
from otp_service.simulator.protocol_words import Protocol

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def rate(text: str) -> tuple[int, float]:
    """Read `5/1h`, `1/60s` or `1/60` as (count, seconds). Raises `ValueError`."""
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})([smhd]?)", text)
    if found is None:
        raise ValueError('write a limit as "5/1h", "1/60s" or "1/60"')
    return int(found[1]), int(found[2]) * _SECONDS[found[3] or "s"]


def _rate_text(text: str) -> str:
    rate(text)
    return text


RateText = Annotated[str, AfterValidator(_rate_text)]
Word = Annotated[str, Field(min_length=1, max_length=100)]


class FaultSetting(BaseModel):
    """A fault for the next messages of an account: `next` of them, or always while it is absent."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    next: int | None = Field(default=None, ge=1)


class AccountSettings(BaseModel):
    """What `PUT /api/accounts/{account}` may set. A field that is not given keeps its value."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    protocol: Protocol = Protocol.SMS_ASPX
    """Fixed once the account is there."""
    id: str = Field(default="", max_length=100)
    """What a client of the protocol calls it: Account SID, AccessKey id, SecretId, api_key; empty: its name."""
    password: str = Field(default="demo", min_length=1, max_length=100)
    """May be given as `secret` too: Auth Token, AccessKeySecret, SecretKey, api_secret, whsec_…"""
    report_url: str = Field(default="", max_length=2000)
    """Where reports are pushed instead of waiting to be fetched; `http://user:password@host/path` sends Basic."""
    report_secret: str = Field(default="", max_length=200)
    """Signs what sms.aspx pushes, as Standard Webhooks (whsec_…); Vonage's signature secret, of method md5hash."""
    profile: Profile | None = None
    """For the paths that leave it open (`/sms.aspx`, `/smsGBK.aspx` and their queries); null is seed."""
    userid: str = Field(default="12", max_length=64)
    check_userid: bool = False
    """Most gateways never look at it."""
    answer: Shape | None = None
    """Answer in this shape whatever the profile says."""
    balance: int = 1_000_000
    """In parts; negative is possible with `postpaid`."""
    postpaid: bool = False
    signature_required: bool = True
    signature_side: Literal["front", "rear", "any", "gateway"] | None = None
    """null: rear for huaxin, front for the others. `gateway`: the gateway puts `signature` in front itself."""
    signature: str = Field(default="今信科技", min_length=1, max_length=20, pattern="^[^【】]*$")
    signature_min: int = Field(default=2, ge=1)
    """Characters between the brackets."""
    signature_max: int = Field(default=20, ge=1)
    templates: tuple[str, ...] = Field(default=(), max_length=100)
    """Filed texts without signature; `{{ name }}`, `{name}` and `#name#` stand for 1–30 characters. Empty: any text."""
    keywords: tuple[Annotated[str, Field(min_length=1, max_length=100)], ...] = Field(
        default=("贷款", "发票"), max_length=1000
    )
    blacklist: tuple[str, ...] = Field(default=(), max_length=1000)
    extno_max: int | None = Field(default=None, ge=0, le=20)
    """Digits; null: 10 for v2, 5 for the others."""
    max_length: int = Field(default=500, ge=1)
    max_numbers: int = Field(default=100, ge=1)
    frequency: tuple[RateText, ...] = Field(default=(), max_length=10)
    """Sends per number, as `5/1h`; several hold each."""
    latency_ms: int = Field(default=0, ge=0, le=600_000)
    error_rate: float = Field(default=0.0, ge=0, le=1)
    """This share of otherwise good messages gets 503 instead, spread evenly: 0.25 is every fourth."""
    report_delay: float = Field(default=1.0, ge=0, le=604_800)
    """Seconds from the message to its report."""
    report: Literal["delivered", "failed", "none"] = "delivered"
    number_faults: bool = True
    """Whether the last four digits of a number provoke faults; switch it off for load tests."""
    fault: FaultSetting | None = None
    """What the next messages meet."""
    query_fault: FaultSetting | None = None
    """What the next queries for reports and replies meet: one of the wire (99xx)."""

    @field_validator("fault")
    @classmethod
    def _known(cls, fault: FaultSetting | None) -> FaultSetting | None:
        if fault is not None and fault.name not in BY_NAME:
            raise ValueError("unknown fault: GET /api/faults lists the names")
        return fault

    @field_validator("report_url")
    @classmethod
    def _http(cls, url: str) -> str:
        if url and not re.match(r"https?://[^/]", url):
            raise ValueError("write it as http://host/path or https://host/path")
        return url

    @model_validator(mode="after")
    def _fits_its_protocol(self) -> AccountSettings:
        if self.protocol is Protocol.WEBHOOK:
            signing.webhook_key(self.password)
        if self.protocol is Protocol.SMS_ASPX and self.report_secret:
            signing.webhook_key(self.report_secret)
        if self.fault is not None and not makes_sense(BY_NAME[self.fault.name], self.protocol):
            raise ValueError(f"the fault {self.fault.name} makes no sense for {self.protocol}")
        return self

    @field_validator("query_fault")
    @classmethod
    def _of_the_wire(cls, fault: FaultSetting | None) -> FaultSetting | None:
        if fault is not None and fault.name not in OF_THE_WIRE:
            raise ValueError("a query meets faults of the wire only: those of GET /api/faults with 99xx")
        return fault
