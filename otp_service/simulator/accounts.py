"""The accounts of the gateway: what each is allowed, what it has left, and how badly it is to be treated."""

from __future__ import annotations

import re
from collections import deque
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from otp_service.simulator.dialects import Profile, Shape
from otp_service.simulator.faults import BY_NAME, OF_THE_WIRE

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MAX_NUMBERS = 20_000
"""Numbers whose latest sends an account remembers; beyond it the longest untouched one is forgotten."""


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

    password: str = Field(default="demo", min_length=1, max_length=100)
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

    @field_validator("query_fault")
    @classmethod
    def _of_the_wire(cls, fault: FaultSetting | None) -> FaultSetting | None:
        if fault is not None and fault.name not in OF_THE_WIRE:
            raise ValueError("a query meets faults of the wire only: those of GET /api/faults with 99xx")
        return fault


class Countdown:
    """A fault that was set, and how many are still to meet it (None: all)."""

    def __init__(self, setting: FaultSetting | None) -> None:
        self._setting = setting
        self._left = setting.next if setting else 0

    def take(self) -> str | None:
        """The name of the fault that this one meets, if any; counts it."""
        if self._setting is None or self._left == 0:
            return None
        if self._left is not None:
            self._left -= 1
        return self._setting.name

    def as_json(self) -> dict[str, Any] | None:
        if self._setting is None or self._left == 0:
            return None
        return {"name": self._setting.name, "next": self._left}


class Account:
    """One account: its settings, and what its traffic changes."""

    def __init__(self, name: str, settings: AccountSettings) -> None:
        self.name = name
        self.sent = 0
        """Parts sent so far."""
        self.settings = settings
        self.balance = settings.balance
        self.fault = Countdown(settings.fault)
        self.query_fault = Countdown(settings.query_fault)
        self._error_debt = 0.0
        self._recent: dict[str, deque[float]] = {}

    def change(self, changes: dict[str, Any]) -> None:
        """Set the given fields. Raises `pydantic.ValidationError`, and then nothing has changed."""
        settings = AccountSettings.model_validate({**self.settings.model_dump(), **changes})
        if "balance" in changes:
            self.balance = settings.balance
        if "fault" in changes:
            self.fault = Countdown(settings.fault)
        if "query_fault" in changes:
            self.query_fault = Countdown(settings.query_fault)
        self.settings = settings

    def take_error(self) -> bool:
        """Whether this message is one of the failing share."""
        self._error_debt += self.settings.error_rate
        if self._error_debt < 1:
            return False
        self._error_debt -= 1
        return True

    def too_often(self, mobile: str, now: float) -> bool:
        """Whether one more message to this number would break a frequency limit."""
        times = self._recent.get(mobile, ())
        return any(
            sum(1 for at in times if at > now - seconds) >= count
            for count, seconds in map(rate, self.settings.frequency)
        )

    def charge(self, mobiles: tuple[str, ...], parts: int, now: float) -> None:
        """Pay for an accepted message and remember it for the frequency limits."""
        self.balance -= parts * len(mobiles)
        self.sent += parts * len(mobiles)
        if not self.settings.frequency:
            return
        longest = max(count for count, _ in map(rate, self.settings.frequency))
        for mobile in mobiles:
            times = self._recent.pop(mobile, None) or deque()
            times.append(now)
            while len(times) > longest:
                times.popleft()
            self._recent[mobile] = times
        while len(self._recent) > _MAX_NUMBERS:
            del self._recent[next(iter(self._recent))]

    def as_json(self) -> dict[str, Any]:
        """The account without its password."""
        shown = self.settings.model_dump(mode="json", exclude={"password"})
        faults = {"fault": self.fault.as_json(), "query_fault": self.query_fault.as_json()}
        return {"account": self.name, **shown, **faults, "balance": self.balance, "sent": self.sent}


class Accounts:
    """All accounts, by name. At the start there is one, `demo`, whose password is `demo`."""

    MAX = 1000

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self.reset()

    def reset(self) -> None:
        self._accounts = {"demo": Account("demo", AccountSettings())}

    def get(self, name: str) -> Account | None:
        return self._accounts.get(name)

    def all(self) -> list[Account]:
        return list(self._accounts.values())

    def put(self, name: str, changes: dict[str, Any]) -> Account:
        """Create or change an account. Raises `pydantic.ValidationError`, or `ValueError` when there are `MAX`."""
        account = self._accounts.get(name)
        if account is None:
            if len(self._accounts) >= self.MAX:
                raise ValueError(f"there are {self.MAX} accounts already: delete one")
            account = self._accounts[name] = Account(name, AccountSettings.model_validate(changes))
        else:
            account.change(changes)
        return account

    def delete(self, name: str) -> bool:
        return self._accounts.pop(name, None) is not None


@lru_cache(maxsize=1000)
def template_pattern(template: str) -> re.Pattern[str]:
    """A filed text as a pattern for a whole text."""
    pieces = re.split(r"\{\{\s*\w+\s*\}\}|\{\w+\}|#\w+#", template)
    return re.compile(r"[^【】]{1,30}".join(map(re.escape, pieces)))
