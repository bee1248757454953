"""From an answer to an outcome, by the rules of the configuration.

accept and one of the others    unknown: the answer contradicts itself
reject                          rejected, for the rule's reason; it goes before retry
retry                           retryable
nothing                         by the HTTP status, and unknown for a 2xx
A rule that names no status looks at 2xx only where it accepts, and at every status where it rejects or retries.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from otp_service.channels.http import MAX_ANSWER, HttpAnswer
from otp_service.errors import ConfigError
from otp_service.ports import Reason
from otp_service.safe_pattern import LONGEST_TEXT, compile_safe

_EDGES = b"\xef\xbb\xbf\0 \t\r\n\f\v"
_SUCCESS = range(200, 300)


class Document:
    """An answer's body as text, and as JSON where a rule asks for it."""

    def __init__(self, body: bytes) -> None:
        raw = body.strip(_EDGES)
        try:
            self.text = raw.decode("utf-8")
        except UnicodeDecodeError:
            self.text = raw.decode("gb18030", errors="replace")
        self._json: Any = None
        self._read = False

    def at(self, path: tuple[str, ...]) -> str | None:
        """The word at a place of the JSON, numbers as they were spelt; None where there is none."""
        here = self._parsed()
        for step in path:
            if isinstance(here, dict):
                here = here.get(step)
            elif isinstance(here, list) and step.isascii() and step.isdigit() and int(step) < len(here):
                here = here[int(step)]
            else:
                return None
        if isinstance(here, bool):
            return "true" if here else "false"
        return here if isinstance(here, str) else None

    def _parsed(self) -> Any:
        if not self._read:
            self._read = True
            try:
                self._json = json.loads(self.text, parse_int=str, parse_float=str, object_pairs_hook=_once)
            except (ValueError, RecursionError):
                self._json = None
        return self._json


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Which of two values of one name counts can't be known, so there is none."""
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name stands twice")
    return dict(pairs)


@dataclass(frozen=True, slots=True)
class Place:
    """Where in an answer a word stands: at a path of its JSON, or in a pattern's first group (or all of it)."""

    path: tuple[str, ...] = ()
    pattern: re.Pattern[str] | None = None

    @classmethod
    def of(cls, table: Mapping[str, Any], where: str) -> Place:
        path, text = table.get("path", ""), table.get("text", "")
        return cls(_steps(path) if path else (), _compiled(text, f"{where}.text") if text else None)

    def find(self, document: Document) -> str | None:
        if self.path:
            return document.at(self.path)
        assert self.pattern is not None
        found = self.pattern.search(document.text[:LONGEST_TEXT])
        return None if found is None else found[1 if self.pattern.groups else 0]


def _steps(path: str) -> tuple[str, ...]:
    """RFC 6901 where it begins with a slash; else names and numbers with dots between them."""
    if path.startswith("/"):
        return tuple(step.replace("~1", "/").replace("~0", "~") for step in path[1:].split("/"))
    return tuple(path.split("."))


def _compiled(source: str, where: str) -> re.Pattern[str]:
    try:
        return compile_safe(source)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


@dataclass(frozen=True, slots=True)
class Rule:
    """All that is given must hold."""

    status: tuple[int, ...]
    place: Place | None
    words: frozenset[str]
    """One of these is the word at the place; empty for any word."""
    matches: re.Pattern[str] | None
    reason: Reason | None

    @classmethod
    def of(cls, table: Mapping[str, Any], where: str) -> Rule:
        given = tuple(filter(None, (table.get("equals"), *(table.get("one_of") or ()))))
        matches = table.get("matches")
        return cls(
            status=tuple(table.get("status") or ()),
            place=Place.of(table, where) if table.get("path") or table.get("text") else None,
            words=frozenset(given),
            matches=_compiled(matches, f"{where}.matches") if matches else None,
            reason=Reason(table["reason"]) if table.get("reason") else None,
        )

    def holds(self, answer: HttpAnswer, document: Document, *, accepts: bool = False) -> bool:
        if (self.status or accepts) and answer.status not in (self.status or _SUCCESS):
            return False
        if self.place is None:
            return True
        word = self.place.find(document)
        if word is None or (self.words and word not in self.words):
            return False
        return self.matches is None or self.matches.search(word[:LONGEST_TEXT]) is not None


def readable(answer: HttpAnswer) -> bool:
    """A body that was cut may have said something else behind the cut."""
    return len(answer.body) <= MAX_ANSWER
