"""The pages: the inbox, written out by the server so that it works without JavaScript, and its static files."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from otp_service import __version__
from otp_service.simulator import texts
from otp_service.simulator.events import Events
from otp_service.simulator.faults import FAULTS
from otp_service.simulator.inbox import Inbox
from otp_service.simulator.site import SECURITY, Ask, BadRequestError, Route
from otp_service.simulator.wire import Reply, Response

_FOLDER = Path(__file__).parent / "page"
_STATIC = {
    "inbox.css": "text/css; charset=utf-8",
    "inbox.js": "text/javascript; charset=utf-8",
    "mark.svg": "image/svg+xml",
}
SHOWN = 200
"""Messages on the page; the search looks through all."""
_SHOWN_REFUSALS = 50


class Pages:
    """`/`, `/faults` and what they load."""

    def __init__(self, inbox: Inbox, events: Events) -> None:
        self._inbox = inbox
        self._events = events

    def routes(self) -> dict[tuple[str, str], Route]:
        return {
            ("GET", "/"): self.inbox,
            ("GET", "/faults"): self.faults,
            ("GET", "/static/*"): self.static,
            ("GET", "/favicon.ico"): self.favicon,
        }

    async def inbox(self, ask: Ask) -> Reply:
        query = ask.query.get("q", "").strip()
        messages = self._inbox.find(text=query.lower(), limit=SHOWN)
        chosen = self._inbox.get(ask.number("message", 0, 10**18)) or next(iter(messages), None)
        refusals = [refusal.as_json() for refusal in reversed(self._inbox.refusals)][:_SHOWN_REFUSALS]
        return _html(
            "inbox.html",
            ask,
            messages=[message.as_json() for message in messages],
            chosen=chosen.details() if chosen else None,
            refusals=refusals,
            query=query,
            latest=self._events.latest,
            host=ask.request.header(b"host"),
        )

    async def faults(self, ask: Ask) -> Reply:
        return _html("faults.html", ask, faults=[fault.as_json() for fault in FAULTS])

    async def static(self, ask: Ask) -> Reply:
        if ask.argument not in _STATIC:
            raise BadRequestError(404, "there is nothing here")
        return Response(200, (_FOLDER / ask.argument).read_bytes(), _STATIC[ask.argument], SECURITY)

    async def favicon(self, ask: Ask) -> Reply:
        return Response(200, (_FOLDER / "mark.svg").read_bytes(), _STATIC["mark.svg"], SECURITY)


def _html(name: str, ask: Ask, **values: Any) -> Response:
    language = chosen_language(ask.request.header(b"accept-language"))
    words = _words()[language]
    page = _templates().get_template(name)
    body = page.render(language=language, words=words, version=__version__, **values)
    vary = (*SECURITY, (b"vary", b"accept-language"))
    return Response(200, body.encode(), "text/html; charset=utf-8", vary)


def chosen_language(accepted: str) -> str:
    """`zh-CN` when the browser prefers any Chinese to English, else `en`."""
    best, language = 0.0, "en"
    for piece in accepted.split(","):
        tag, _, weight = piece.strip().partition(";q=")
        found = {"zh": "zh-CN", "en": "en"}.get(tag[:2].lower())
        try:
            value = float(weight) if weight else 1.0
        except ValueError:
            continue
        if found and value > best:
            best, language = value, found
    return language


@cache
def _words() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads((_FOLDER / "words.json").read_text("utf-8"))
    return found


@cache
def _templates() -> Environment:
    templates = Environment(loader=FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    templates.filters["size"] = texts.size
    return templates
