"""The outermost layer: what every answer has, whoever made it. A request id, safe headers, a log line, a count."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from otp_service.web.exchange import REQUEST_ID, Response
from otp_service.web.trace import TRACE, Trace

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_DEFAULT_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""For answers that do not say otherwise themselves."""
_DEFAULTS = tuple(_DEFAULT_HEADERS.items())

_STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
_GO_ELSEWHERE = ("Connection", "close")
"""Said while draining: a connection that is kept alive would bring the next request here, at the worst moment. And said
with a refusal of a large body: what of it was not read may stand in the way of the next request."""
_LARGE = 8192
"""Bytes; less than that the server takes from the connection by itself."""


class Edge:
    """WSGI in, WSGI out."""

    def __init__(self, inner: WSGIApplication, draining: Callable[[], bool] = lambda: False) -> None:
        self._inner = inner
        self._draining = draining

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        began = time.perf_counter()
        trace = Trace.begin(environ["REQUEST_METHOD"], environ.get("HTTP_X_REQUEST_ID"))
        environ[TRACE], environ[REQUEST_ID] = trace, trace.request_id

        def begin(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Any:
            trace.status = int(status[:3])
            own = _DEFAULT_HEADERS.keys() & dict(headers)
            defaults = [item for item in _DEFAULT_HEADERS.items() if item[0] not in own] if own else _DEFAULTS
            last = (_GO_ELSEWHERE,) if self._draining() or (trace.status >= 400 and _is_large(environ)) else ()
            return start_response(status, [*headers, *defaults, *last, ("X-Request-Id", trace.request_id)], exc_info)

        try:
            return self._inner(environ, begin)
        except Exception as error:
            return respond(trace.unforeseen(error), begin)
        finally:
            trace.end(time.perf_counter() - began)


def _is_large(environ: WSGIEnvironment) -> bool:
    length: str = environ.get("CONTENT_LENGTH") or ""
    return "HTTP_TRANSFER_ENCODING" in environ or len(length) > 18 or (length.isdecimal() and int(length) > _LARGE)


def respond(response: Response, start_response: StartResponse) -> list[bytes]:
    """Serve a response of ours over plain WSGI."""
    headers = [
        ("Content-Type", response.content_type),
        ("Content-Length", str(len(response.body))),
        *response.headers,
    ]
    start_response(_STATUS_LINES[response.status], headers)
    return [response.body]
