"""`{{ name }}` in a configured request, filled once, each value escaped for the place that it stands in.

This is not Jinja: there is nothing but names, and what a value holds is never looked at again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

from otp_service.errors import ConfigError

Escape = Callable[[str], str]
MESSAGE_NAMES = frozenset(
    {"to", "digits", "national", "text", "code", "minutes", "reference", "extno", "account", "password", "basic"}
)
"""What a request may want filled in; `basic` is the login of HTTP's Basic authentication."""
MAIL_NAMES = frozenset({"to", "digits", "national", "code", "minutes", "reference", "extno"})
"""The same for a mail's address and subject."""

_NAME = re.compile(r"\{\{\s*([A-Za-z_]+)\s*\}\}")
# What XML 1.0 §2.2 allows nowhere, not even as a reference.
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


@dataclass(frozen=True, slots=True)
class ValueTemplate:
    """Words and names in turn: an odd number of pieces, each second one a name."""

    pieces: tuple[str, ...]

    @classmethod
    def parse(cls, source: str, allowed: frozenset[str]) -> ValueTemplate:
        """Raises `ConfigError`, which says what to write, for a name that is not `allowed` and for a stray `{{`."""
        pieces = tuple(_NAME.split(source))
        for name in pieces[1::2]:
            if name not in allowed:
                raise ConfigError(f"{{{{ {name[:32]} }}}} is not known here; there are {', '.join(sorted(allowed))}")
        if any("{{" in piece for piece in pieces[::2]):
            raise ConfigError("a {{ begins no name; write {{ name }}, without filters or dots")
        return cls(pieces)

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.pieces[1::2])

    def fill(self, values: Mapping[str, str], escape: Escape) -> str:
        return "".join(escape(values[piece]) if index % 2 else piece for index, piece in enumerate(self.pieces))


def url_escape(encoding: str) -> Escape:
    """For any place in a path or a query. Raises UnicodeEncodeError for a character that `encoding` lacks."""
    return lambda value: quote(value, safe="", encoding=encoding, errors="strict")


def form_escape(encoding: str) -> Escape:
    """As `url_escape`, for application/x-www-form-urlencoded."""
    return lambda value: quote_plus(value, encoding=encoding, errors="strict")


def json_escape(value: str) -> str:
    """For inside of a JSON string's quotes; ASCII, so that no charset can spoil it."""
    return json.dumps(value)[1:-1]


def xml_escape(value: str) -> str:
    """For an element's content and an attribute's value; what XML can't hold becomes U+FFFD."""
    return escape(_NOT_XML.sub("\ufffd", value), {'"': "&quot;", "'": "&apos;"})


def line_escape(value: str) -> str:
    """For a line of plain text or a header: what could begin another line becomes a blank."""
    return _CONTROLS.sub(" ", value)


def body_escape(content_type: str, encoding: str) -> Escape:
    """By the configuration's word: form, json, xml or text."""
    return {"form": form_escape(encoding), "json": json_escape, "xml": xml_escape}.get(content_type, line_escape)
