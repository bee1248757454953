"""The simulator's own pages and JSON API, beside the gateway's paths. Only this machine's names may ask for them."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from otp_service.simulator.wire import Headers, Reply, Request, Response

_MAX_FIELDS = 50

SECURITY: Headers = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        b" form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


class BadRequestError(Exception):
    """The request can't be served; `status` and the text say why."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def _query(raw: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(raw.decode("latin-1"), keep_blank_values=True, max_num_fields=_MAX_FIELDS))
    except ValueError as error:
        raise BadRequestError(400, f"a query has {_MAX_FIELDS} fields at the most") from error


class Ask:
    """A request to the site, with what the routes need from it."""

    def __init__(self, request: Request, argument: str) -> None:
        self.request = request
        self.argument = argument
        """The last piece of the path, where the route has one."""
        self.query = _query(request.query)

    def number(self, name: str, default: int, most: int) -> int:
        """A whole number of the query, cut at `most`."""
        text = self.query.get(name, "")
        if text == "":
            return default
        if not (text.isascii() and text.isdecimal() and len(text) <= 18):
            raise BadRequestError(400, f"{name} must be a whole number")
        return min(int(text), most)

    def body(self) -> dict[str, Any]:
        """The JSON object in the body. A browser sends that type elsewhere only after asking, and we never allow."""
        if self.request.header(b"content-type").partition(";")[0].strip().lower() != "application/json":
            raise BadRequestError(415, "send application/json")
        try:
            found = json.loads(self.request.body)
        except (ValueError, RecursionError) as error:
            raise BadRequestError(400, "the body is not JSON") from error
        if not isinstance(found, dict):
            raise BadRequestError(400, "the body must be a JSON object")
        return found


Route = Callable[[Ask], Awaitable[Reply]]


def json_reply(found: Mapping[str, Any], status: int = 200) -> Response:
    body = json.dumps(found, ensure_ascii=False).encode()
    return Response(status, body, "application/json; charset=utf-8", SECURITY)


class Site:
    """Routes by method and path; a path that ends in `/*` has an argument."""

    def __init__(self, routes: Mapping[tuple[str, str], Route], allowed_hosts: frozenset[str]) -> None:
        self._routes = routes
        self._allowed = allowed_hosts

    async def handle(self, request: Request) -> Reply:
        try:
            self._guard(request)
            route, argument = self._route(request)
            return await route(Ask(request, argument))
        except BadRequestError as error:
            return json_reply({"error": str(error)}, error.status)

    def _guard(self, request: Request) -> None:
        if request.path == "/livez":
            return
        # A page elsewhere may point its own name at this machine (DNS rebinding): the name gives it away.
        host = request.header(b"host")
        if not self._ours(host):
            raise BadRequestError(403, f"this host name is not allowed: start with --allow-host {_name(host)[:200]}")
        if request.method in {"GET", "HEAD"}:
            return
        origin = request.header(b"origin")
        if request.header(b"sec-fetch-site") in {"cross-site", "same-site"}:
            raise BadRequestError(403, "another site may not do this")
        if origin and origin.partition("://")[2] != host:
            raise BadRequestError(403, "another site may not do this")

    def _ours(self, host: str) -> bool:
        name = _name(host)
        if name in self._allowed or name == "localhost" or name.endswith(".localhost"):
            return True
        # A bare address can't be rebound: no resolver was asked for it.
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _route(self, request: Request) -> tuple[Route, str]:
        method = "GET" if request.method == "HEAD" else request.method
        folder, _, last = request.path.rpartition("/")
        # The first form wins, so that /api/messages is never the message called "messages".
        for path, argument in ((request.path, ""), (f"{folder}/*", last)):
            route = self._routes.get((method, path))
            if route is not None:
                return route, argument
            known = [name for name, known_path in self._routes if known_path == path]
            if known:
                raise BadRequestError(405, f"this address takes {', '.join(sorted(known))}")
        raise BadRequestError(404, "there is nothing here")


def _name(host: str) -> str:
    """The name in a Host header, without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower().rstrip(".")
