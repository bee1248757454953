"""One message as the configured request. Each value is escaped for its place, so none can be more than a value."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from otp_service.channels.general import secrets_of
from otp_service.channels.http_template.settings import HttpTemplateSettings
from otp_service.ports import Message
from otp_service.recipient import parse as parse_recipient
from otp_service.value_template import MESSAGE_NAMES, ValueTemplate, body_escape, line_escape, url_escape

CONTENT_TYPES = {
    "form": "application/x-www-form-urlencoded; charset={}",
    "json": "application/json",
    "xml": "application/xml; charset={}",
    "text": "text/plain; charset={}",
}


@dataclass(frozen=True, slots=True)
class Request:
    """Ready to go. `secrets` must not come back into our records."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)


class RequestTemplate:
    """Raises ConfigError for what is no template; the configuration has checked each, and says which key."""

    def __init__(self, settings: HttpTemplateSettings) -> None:
        self._settings = settings
        self._url = ValueTemplate.parse(settings.url, MESSAGE_NAMES)
        self._headers = {name: ValueTemplate.parse(value, MESSAGE_NAMES) for name, value in settings.headers.items()}
        self._body = ValueTemplate.parse(settings.body, MESSAGE_NAMES)

    def fill(self, message: Message) -> Request:
        """Raises `InvalidRecipient`, and UnicodeEncodeError where the channel's charset lacks a character."""
        settings = self._settings
        values = self._values(message)
        headers = {name: template.fill(values, _header_escape) for name, template in self._headers.items()}
        body = self._body.fill(values, body_escape(settings.content_type, settings.encoding)).encode(settings.encoding)
        if settings.method == "POST":
            declared = CONTENT_TYPES[settings.content_type].format(settings.encoding)
            named = {name.lower() for name in headers}
            headers |= {} if "content-type" in named else {"Content-Type": declared}
        url = self._url.fill(values, url_escape(settings.encoding))
        secrets = secrets_of(message, settings.password, values["basic"], values["national"])
        return Request(url, headers, body if settings.method == "POST" else b"", secrets)

    def _values(self, message: Message) -> dict[str, str]:
        account, password = self._settings.account, self._settings.password
        return {
            "to": message.to,
            "digits": message.to.removeprefix("+"),
            "national": parse_recipient(message.to, "").national,
            "text": message.text,
            "code": message.code,
            "minutes": str(message.minutes),
            "reference": message.reference,
            "extno": message.extno or self._settings.extno,
            "account": account,
            "password": password,
            "basic": base64.b64encode(f"{account}:{password}".encode()).decode() if account or password else "",
        }


def _header_escape(value: str) -> str:
    """One line of ASCII: RFC 9110 gives other bytes no meaning. Raises UnicodeEncodeError."""
    value.encode("ascii")
    return line_escape(value)
