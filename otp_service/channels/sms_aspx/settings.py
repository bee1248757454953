"""What an operator writes for one channel of this family, and the addresses that follow from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, urlsplit

from otp_service.errors import ConfigError


class Paths(NamedTuple):
    """Where a profile lives when only a host is given."""

    utf8: str
    gbk: str
    action_in_query: bool = True


PATHS = {
    "seed": Paths("/sms.aspx", "/smsGBK.aspx"),
    "classic": Paths("/sms.aspx", "/smsGBK.aspx"),
    "v2": Paths("/v2sms.aspx", "/v2smsGBK.aspx"),
    "huaxin": Paths("/smsJson.aspx", "/smsJson.aspx"),
    "miaodi": Paths("/20150822/industrySMS/sendSMS", "/20150822/industrySMS/sendSMS", action_in_query=False),
}
REPORT_PATHS = {
    "seed": ("statusApi.aspx", "callApi.aspx"),
    "classic": ("statusApi.aspx", "callApi.aspx"),
    "v2": ("v2statusApi.aspx", "v2callApi.aspx"),
    "huaxin": ("statusJsonApi.aspx", "callJsonApi.aspx"),
}
"""Of reports and replies, beside the path of sending; miaodi has none."""
ENCODINGS = ("utf-8", "gbk")


@dataclass(frozen=True, slots=True)
class SmsAspxSettings:
    """One channel. Raises `ConfigError`, naming the key, for what can't work."""

    name: str
    url: str
    """The full address of the endpoint, or a host alone: then the profile's own path is used."""
    profile: str = "seed"
    encoding: str = "utf-8"
    userid: str = ""
    account: str = ""
    password: str = field(default="", repr=False)
    extno: str = ""
    answer_within: float = 1.5
    deadline: float = 5.0
    """Seconds, total, for one try: name look-up, connection, request and whole answer."""
    proxy: str = field(default="", repr=False)
    """`http://host:port` or https; empty for a direct connection. The environment's proxies are never used."""

    report_secret: str = field(default="", repr=False)
    """Who knows it may push reports; empty: nobody may."""

    def __post_init__(self) -> None:
        self._one_of("profile", self.profile, tuple(PATHS))
        self._one_of("encoding", self.encoding, ENCODINGS)
        self._check_address("url", self.url)
        self._check_bare(_split(self.url))
        if self.proxy:
            self._check_address("proxy", self.proxy)
        if not (self.deadline > 0 and self.answer_within > 0):
            raise self._error("deadline and answer_within", "must be more than 0 seconds")
        for key in ("userid", "account", "password", "extno"):
            self._check_charset(key)

    def address(self, action: str) -> str:
        """Where to POST. Most of the family wants the action in the query; nothing of the form is ever put there."""
        paths = PATHS[self.profile]
        parts = urlsplit(self.url)
        standard = paths.gbk if self.encoding == "gbk" else paths.utf8
        path = standard if parts.path in ("", "/") else parts.path
        query = f"action={action}" if paths.action_in_query else ""
        return parts._replace(path=path, query=query).geturl()

    def list_address(self, place: int) -> str:
        """Where reports (0) or replies (1) are asked for. Raises KeyError for a profile that has no such call."""
        parts = urlsplit(self.address("query"))
        folder = parts.path.rpartition("/")[0]
        return parts._replace(path=f"{folder}/{REPORT_PATHS[self.profile][place]}").geturl()

    def _one_of(self, key: str, value: str, allowed: tuple[str, ...]) -> None:
        if value not in allowed:
            raise self._error(key, f"must be one of: {', '.join(allowed)}")

    def _check_address(self, key: str, value: str) -> None:
        parts = _split(value)
        printable = value.isascii() and value.isprintable() and " " not in value
        if not (printable and parts.scheme in ("http", "https") and parts.hostname) or parts.fragment:
            raise self._error(key, "must be an address like http://host or https://host:port/path")

    def _check_bare(self, parts: SplitResult) -> None:
        """Addresses end up in the logs of proxies and gateways."""
        fields = {key.lower() for key, _ in parse_qsl(parts.query, keep_blank_values=True)}
        if parts.username is not None or fields - {"action"}:
            raise self._error("url", "must hold no fields and no login: use userid, account, password and extno")

    def _check_charset(self, key: str) -> None:
        try:
            getattr(self, key).encode(self.encoding)
        except UnicodeEncodeError:
            raise self._error(key, f"holds a character that {self.encoding} lacks") from None

    def _error(self, key: str, text: str) -> ConfigError:
        return ConfigError(f"channels.{self.name}.{key} {text}")


def _split(address: str) -> SplitResult:
    """An address that can't be split (a broken port or IPv6 host) is treated as empty."""
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return urlsplit("")
    return parts
