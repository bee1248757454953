"""A peer: another service that is measured beside ours, told of in a TOML file (see peer.example.toml).

    name = "otpgateway"
    url = "http://127.0.0.1:9000"
    pids = [4711]                        # optional: its processes on this machine, for CPU and memory

    [headers]                            # optional: of every call
    Authorization = "Basic c2hvcDpzZWNyZXQ="

    [send]
    method = "PUT"
    path = "/api/otp/{id}"
    type = "application/x-www-form-urlencoded"
    body = "provider=bench&to={number}&otp={code}"
    expect = "success"                   # what a right answer holds
    id = "data.id"                       # where the answer says the id, where it is the peer that chooses it

    [check]
    path = "/api/otp/{id}"
    body = "action=check&otp={code}"

`{id}`, `{number}` (E.164 without its +) and `{code}` are filled in; anything else in braces stays, so that JSON
may be written plainly. [setup] is called once, before the first send.
"""

from __future__ import annotations

import json
import re
import secrets
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from _load import post

_FILLED = ("id", "number", "code")
_PATH = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*", re.IGNORECASE)


class PeerError(Exception):
    """What is wrong with a description, and where."""


@dataclass(frozen=True)
class Call:
    path: str
    method: str = "POST"
    type: str = "application/json"
    body: str = ""
    expect: str = ""
    id: str = ""
    code: str = ""
    """Where in the JSON of an answer to a send these are, as "data.id"; "" where we choose them."""

    def knows(self, word: str) -> bool:
        return f"{{{word}}}" in self.path + self.body

    def filled(self, words: Mapping[str, str], headers: Mapping[str, str]) -> bytes:
        """As it stands on the wire."""
        path, body = self.path, self.body
        for word, value in words.items():
            path, body = path.replace(f"{{{word}}}", value), body.replace(f"{{{word}}}", value)
        lines = [f"{name}: {value}" for name, value in headers.items()]
        return post(path, body.encode(), [*lines, f"Content-Type: {self.type}"], self.method)


@dataclass(frozen=True)
class Peer:
    name: str
    port: int
    send: Call
    check: Call
    setup: Call | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    pids: Sequence[int] = ()

    def sends(self, numbers: Sequence[str]) -> list[dict[str, str]]:
        """The words of one send a number."""
        return [
            {"number": number, "id": secrets.token_hex(16), "code": f"{secrets.randbelow(10**6):06d}"}
            for number in numbers
        ]

    def told(self, words: Mapping[str, str], answer: bytes) -> dict[str, str]:
        """The words of the check that follows a send. Raises PeerError where the answer lacks what it should say."""
        found = dict(words)
        for word, where in (("id", self.send.id), ("code", self.send.code)):
            if where:
                found[word] = _at(answer, where, word, self.name)
        return found


def _at(answer: bytes, where: str, word: str, name: str) -> str:
    try:
        value: Any = json.loads(answer)
        for step in where.split("."):
            value = value[step]
    except (ValueError, KeyError, TypeError, IndexError):
        value = None
    if not isinstance(value, str | int) or value == "":
        raise PeerError(f'{name}: [send] {word} = "{where}", but the answer to a send has nothing there')
    return str(value)


def read(path: Path) -> Peer:
    """Raises PeerError."""
    try:
        told = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PeerError(f"{path.name}: {error}") from error
    try:
        return parse(told)
    except PeerError as error:
        raise PeerError(f"{path.name}: {error}") from error


def parse(told: Mapping[str, Any]) -> Peer:
    """Raises PeerError, which names the key to mend."""
    _only(told, "", {"name", "url", "pids", "headers", "setup", "send", "check"})
    name, url = _text(told, "", "name"), urlsplit(_text(told, "", "url"))
    if url.scheme != "http" or not url.port or url.hostname not in {"127.0.0.1", "localhost"} or url.path.strip("/"):
        raise PeerError('url: write "http://127.0.0.1:<port>": it is measured on this machine, without TLS')
    pids = told.get("pids", [])
    if not isinstance(pids, list) or not all(type(pid) is int and pid > 0 for pid in pids):
        raise PeerError("pids: write the numbers of its processes, such as [4711]")
    headers = told.get("headers", {})
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise PeerError('[headers]: write lines such as Authorization = "…"')
    send, check = _call(told, "send"), _call(told, "check")
    setup = _call(told, "setup") if "setup" in told else None
    if not send.id and not send.knows("id"):
        raise PeerError('[send]: write {id} where we choose the id, or id = "…", the place of it in the answer')
    if not send.code and not send.knows("code"):
        raise PeerError('[send]: write {code} where we choose the code, or code = "…", the place of it in the answer')
    for word in ("id", "code"):
        if not check.knows(word):
            raise PeerError(f"[check]: neither path nor body has {{{word}}}")
    return Peer(name, url.port, send, check, setup, headers, pids)


def _call(told: Mapping[str, Any], table: str) -> Call:
    one = told.get(table)
    if not isinstance(one, dict):
        raise PeerError(f"[{table}] is missing")
    _only(one, table, {"method", "path", "type", "body", "expect"} | ({"id", "code"} if table == "send" else set()))
    words = {key: _text(one, table, key) for key in one}
    if not words.get("path", "").startswith("/"):
        raise PeerError(f'[{table}] path: write the path of the call, such as "/api/otp/{{id}}"')
    for word in ("id", "code"):
        if word in words and not _PATH.fullmatch(words[word]):
            raise PeerError(f'[{table}] {word}: write where it is in the answer, such as "data.{word}"')
    return Call(**words)


def _only(told: Mapping[str, Any], table: str, known: set[str]) -> None:
    where = f"[{table}] " if table else ""
    for key in told:
        if key not in known:
            raise PeerError(f"{where}{key}: not known; there are {', '.join(sorted(known))}")


def _text(told: Mapping[str, Any], table: str, key: str) -> str:
    value = told.get(key)
    if not isinstance(value, str) or not value:
        raise PeerError(f"{f'[{table}] ' if table else ''}{key}: write text in quotes")
    return value
