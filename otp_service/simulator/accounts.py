"""The accounts of the gateway: what each is allowed, what it has left, and how badly it is to be treated."""

from __future__ import annotations

from collections import deque
from typing import Any

from otp_service.simulator.account_settings import AccountSettings, FaultSetting, rate
from otp_service.simulator.demo_accounts import DEMO
from otp_service.simulator.protocol_words import Protocol
from otp_service.simulator.push import bare

_MAX_NUMBERS = 20_000
"""Numbers whose latest sends an account remembers; beyond it the longest untouched one is forgotten."""


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

    @property
    def protocol(self) -> Protocol:
        return self.settings.protocol

    @property
    def id(self) -> str:
        """What its protocol calls it."""
        return self.settings.id or self.name

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
        """The account without its secrets."""
        shown = self.settings.model_dump(mode="json", exclude={"password", "report_url", "report_secret"})
        faults = {"fault": self.fault.as_json(), "query_fault": self.query_fault.as_json()}
        shown["report_url"] = bare(self.settings.report_url)
        return {"account": self.name, **shown, "id": self.id, **faults, "balance": self.balance, "sent": self.sent}


class Accounts:
    """All accounts, by name. At the start there are those of `DEMO`, one a protocol."""

    MAX = 1000

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self.reset()

    def reset(self) -> None:
        self._accounts = {}
        for demo in DEMO.values():
            settings = AccountSettings(
                protocol=demo.protocol, id=demo.id, password=demo.secret, report_secret=demo.report_secret
            )
            self._accounts[demo.name] = Account(demo.name, settings)
        self._index()

    def _index(self) -> None:
        self._by_id = {(account.protocol, account.id): account for account in self._accounts.values()}

    def get(self, name: str) -> Account | None:
        return self._accounts.get(name)

    def find(self, protocol: Protocol, account_id: str) -> Account | None:
        """The account that a client of this protocol means."""
        return self._by_id.get((protocol, account_id))

    def all(self) -> list[Account]:
        return list(self._accounts.values())

    def put(self, name: str, changes: dict[str, Any]) -> Account:
        """Create or change an account. Raises `pydantic.ValidationError`, or `ValueError` that says why not."""
        if "secret" in changes:
            changes = {**changes, "password": changes["secret"]}
            del changes["secret"]
        account = self._accounts.get(name)
        before = {} if account is None else account.settings.model_dump()
        wanted = AccountSettings.model_validate({**before, **changes})
        if account is not None and wanted.protocol is not account.protocol:
            raise ValueError(f"protocol: it stays {account.protocol}; make another account")
        other = self.find(wanted.protocol, wanted.id or name)
        if other is not None and other is not account:
            raise ValueError(f"id: the account {other.name} has it already")
        if account is not None:
            account.change(changes)
        elif len(self._accounts) >= self.MAX:
            raise ValueError(f"there are {self.MAX} accounts already: delete one")
        else:
            account = self._accounts[name] = Account(name, wanted)
        self._index()
        return account

    def delete(self, name: str) -> bool:
        gone = self._accounts.pop(name, None) is not None
        self._index()
        return gone
