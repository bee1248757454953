"""`protocol = "http_template"`: any HTTP gateway, by templates and rules."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit
from xml.etree import ElementTree

from pydantic import Field, SecretStr, StringConstraints, field_validator, model_validator

from otp_service.config.channel import FreeSection, http_address
from otp_service.config.fields import WEBHOOK_SECRETS_HINT, Int, Items, WebhookSecret
from otp_service.config.section import Section
from otp_service.errors import ConfigError
from otp_service.safe_pattern import compile_safe
from otp_service.value_template import MESSAGE_NAMES, ValueTemplate, body_escape, line_escape

_HEADER_NAMES = MESSAGE_NAMES - {"text"}
_LOGGED = frozenset({"to", "digits", "national", "text", "code", "password", "basic"})
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "user-agent"})

# Awkward on purpose: outside of quotes none but a plain number leaves a document whole.
_SAMPLES = (
    dict.fromkeys(MESSAGE_NAMES, "a\"'b\\<&>]]>\n{") | {"digits": "12065550100", "minutes": "5"},
    dict.fromkeys(MESSAGE_NAMES, "") | {"digits": "12065550100", "minutes": "5"},
    dict.fromkeys(MESSAGE_NAMES, "012345") | {"digits": "12065550100", "minutes": "5"},
)


class Place(Section):
    """Where in the answer a word stands."""

    path: str = Field("", max_length=200, description='a place in its JSON, such as "data.0.code" or "/data/0/code"')
    text: str = Field("", max_length=200, description='a pattern such as "OK ([0-9]++)"')

    @field_validator("text")
    @classmethod
    def _is_safe(cls, text: str) -> str:
        return _pattern(text) if text else text

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if bool(self.path) == bool(self.text):
            raise ValueError("needs one of path and text; write the place of the word in JSON, or a pattern")
        return self


class Rule(Section):
    """What must hold of an answer; all that is given must."""

    status: Annotated[tuple[Annotated[Int, Field(ge=100, le=599)], ...], Items] | None = Field(
        None, min_length=1, description="HTTP statuses such as 200 or [200, 202]"
    )
    path: str = Field("", max_length=200, description='a place in its JSON, such as "data.0.code" or "/data/0/code"')
    text: str = Field("", max_length=200, description='a pattern such as "OK ([0-9]++)"')
    equals: str | None = Field(None, min_length=1, description='a word in quotes, such as "0"')
    one_of: Annotated[tuple[str, ...], Items] | None = Field(None, min_length=1, description='words, as ["0", "00"]')
    matches: str | None = Field(None, min_length=1, max_length=200, description='a pattern such as "^0++$"')

    @field_validator("status", mode="before")
    @classmethod
    def _may_be_one(cls, status: Any) -> Any:
        return [status] if isinstance(status, int) and not isinstance(status, bool) else status

    @field_validator("text", "matches")
    @classmethod
    def _is_safe(cls, text: str | None) -> str | None:
        return _pattern(text) if text else text

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        placed = bool(self.path or self.text)
        asked = next((key for key in ("equals", "one_of", "matches") if getattr(self, key)), "")
        if self.path and self.text:
            raise ValueError("text: path is given as well; give one of the two")
        if asked and not placed:
            raise ValueError(f"{asked}: of which word; write path or text beside it")
        if not placed and self.status is None:
            raise ValueError("fits every answer; write status, path or text")
        return self


class Rejection(Rule):
    reason: Literal["number", "content", "account", "balance", "config", "rate"] = Field(
        description='"number", "content", "account", "balance", "config" or "rate"'
    )


class HttpTemplate(FreeSection):
    """A gateway without code of its own."""

    protocol: Literal["http_template"] = Field(description='"http_template"')
    url: str = Field(description='an address such as "https://sms.example.com/send", with {{ name }} behind the host')
    method: Literal["POST", "GET"] = Field("POST", description='"POST" or "GET"')
    headers: dict[str, str] = Field({}, description='headers such as { Authorization = "Bearer {{ password }}" }')
    content_type: Literal["form", "json", "xml", "text"] = Field("form", description='"form", "json", "xml" or "text"')
    body: str = Field("", max_length=8192, description='text with {{ name }}, such as "to={{ digits }}&m={{ text }}"')
    encoding: Literal["utf-8", "gbk"] = Field("utf-8", description='"utf-8" or "gbk"')
    account: str = Field("", max_length=200, description="the account's name, for {{ account }} and {{ basic }}")
    password: SecretStr | None = Field(None, description="the secret for {{ password }} and {{ basic }}, or _file")
    extno: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z]{0,20}$")] = Field(
        "", description="at most 20 letters and digits, in quotes"
    )
    accept: tuple[Rule, ...] = Field(min_length=1, description='rules, as [{ path = "status", equals = "0" }]')
    reject: tuple[Rejection, ...] = Field((), description='rules, as [{ text = "bad number", reason = "number" }]')
    retry: tuple[Rule, ...] = Field((), description='rules, as [{ path = "status", equals = "busy" }]')
    id: Place | None = Field(None, description='a place, as { path = "data.id" } or { text = "OK ([0-9]++)" }')
    words: Place | None = Field(None, description='the place of the words that you want to read, as { path = "msg" }')

    report_secrets: Annotated[tuple[WebhookSecret, ...], Items] = Field(
        (), max_length=2, description=WEBHOOK_SECRETS_HINT
    )

    @property
    def charset(self) -> Literal["utf-8", "gbk"]:
        return "gbk" if self.encoding == "gbk" and self.content_type != "json" else "utf-8"

    @property
    def report_way(self) -> Literal["off", "poll", "push"]:
        return self.reports or ("push" if self.report_secrets else "off")

    def warnings(self) -> list[str]:
        logged = sorted(_template("url", self.url).names & _LOGGED)
        if not logged:
            return []
        return [f"url: holds {', '.join(logged)}, and addresses are logged on their way; use POST and body if you can"]

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        http_address(url, query=r"[!-~ ]*")
        if "{{" in urlsplit(url).netloc:
            raise ValueError("holds {{ }} before the path; write the host itself")
        return url

    @model_validator(mode="after")
    def _templates_work(self) -> Self:
        names = self._names()
        if not names & {"to", "digits", "national"}:
            raise ValueError(
                f"{self._main}: holds no number; write {{{{ to }}}}, {{{{ digits }}}} or {{{{ national }}}}"
            )
        if not names & {"text", "code"}:
            raise ValueError(f"{self._main}: holds neither {{{{ text }}}} nor {{{{ code }}}}; write one of them")
        if names & {"password", "basic"} and self.password is None:
            raise ValueError("password: missing; the templates want it")
        if self.method == "GET" and self.body:
            raise ValueError('body: a GET has none; take it out, or write method = "POST"')
        if self.method == "POST":
            _check_body(self.content_type, _template("body", self.body))
        return self

    @property
    def _main(self) -> str:
        return "body" if self.method == "POST" else "url"

    def _names(self) -> frozenset[str]:
        names = _template("url", self.url).names | _template("body", self.body).names
        for name, value in self.headers.items():
            if not _TOKEN.fullmatch(name) or name.lower() in _OURS:
                raise ValueError(f"headers: {name[:32]!r} is no header that you can set; take it out")
            template = _template(f"headers: {name}", value, _HEADER_NAMES)
            if any(not piece.isascii() or line_escape(piece) != piece for piece in template.pieces):
                raise ValueError(f"headers: {name} holds a character that no header may hold; take it out")
            names |= template.names
        return names


def _pattern(text: str) -> str:
    try:
        compile_safe(text)
    except ConfigError as error:
        raise ValueError(f"a pattern that can't be used; {error}") from None
    return text


def _template(key: str, source: str, allowed: frozenset[str] = MESSAGE_NAMES) -> ValueTemplate:
    try:
        return ValueTemplate.parse(source, allowed)
    except ConfigError as error:
        raise ValueError(f"{key}: {error}") from None


def _check_body(content_type: str, template: ValueTemplate) -> None:
    """Fill in values made to break out: a document that stays whole holds each of them as a value."""
    for sample in _SAMPLES:
        filled = template.fill(sample, body_escape(content_type, "utf-8"))
        if content_type == "json":
            try:
                json.loads(filled)
            except ValueError:
                raise ValueError('body: not JSON once filled; write each value in quotes, as "{{ text }}"') from None
        elif content_type == "xml":
            if "<!" in filled:
                raise ValueError("body: take out CDATA, comments and DOCTYPE; values are escaped by themselves")
            try:
                ElementTree.fromstring(filled)  # noqa: S314 - the operator's own template, and it holds no DTD
            except (ElementTree.ParseError, ValueError):
                raise ValueError("body: not XML once filled; write values in elements or quoted attributes") from None
