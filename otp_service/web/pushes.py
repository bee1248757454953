"""Reports that gateways push to us: `POST /reports/{channel}`, authenticated by what the channel's gateway knows.

It is an address for machines of others, and no call of the API: a 2xx says that the rows are written down, a refusal
does not say what was wrong.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from otp_service import metrics
from otp_service.errors import NotFound, PayloadTooLarge, Problem, Unauthorized, Unavailable
from otp_service.ports import Push, PushRefused, Report, StoreDown
from otp_service.seldom import Seldom
from otp_service.web.exchange import Request, Response, json_response

ReadPush = Callable[[Push, float], Sequence[Report]]
"""Of `ports.Pushing`."""
Keep = Callable[[str, Sequence[Report]], None]
"""Writes the rows of a channel down. Raises StoreDown."""

MAX_BYTES = 1024 * 1024
"""4,000 rows of the largest family, and more than any other sends at once."""
_TAKEN = {"code": 0, "msg": "ok", "result": 0, "errmsg": "OK"}
"""What gateways look for beside the status: Aliyun for `code`, Tencent for `result`."""
_LOG = structlog.get_logger("otp_service.web")


def _nobody(push: Push, now: float) -> Sequence[Report]:
    raise PushRefused("no channel is pushed to")


def _keep_nothing(channel: str, reports: Sequence[Report]) -> None:
    raise StoreDown("nothing is kept")


@dataclass(frozen=True, slots=True)
class PushDesk:
    """`decoy` reads what is meant for a channel that there is not, so that both take as long."""

    readers: Mapping[str, ReadPush] = field(default_factory=dict)
    keep: Keep = _keep_nothing
    decoy: ReadPush = _nobody
    public_url: str = ""
    """Of this service as gateways know it, where a proxy changes it; "" for what the request says itself."""
    seldom: Seldom = field(default_factory=Seldom)

    def take(self, channel: str, push: Push) -> Response:
        """Raises a `Problem`: then nothing of it is sure to be kept."""
        known = channel in self.readers
        try:
            reports = self.readers.get(channel, self.decoy)(push, time.time())
        except PushRefused as refused:
            raise self._refusal(channel, known, refused) from None
        if not known:
            raise _unknown()
        try:
            self.keep(channel, reports)
        except StoreDown as error:
            metrics.REPORT_PUSHES.labels(channel, "unavailable").inc()
            raise Unavailable("The reports can't be written down now; send them again.", retry_after=5) from error
        metrics.REPORT_PUSHES.labels(channel, "taken").inc()
        return json_response(200, _TAKEN)

    def _refusal(self, channel: str, known: bool, refused: PushRefused) -> Problem:
        # A name that somebody made up is no label, and not for the log.
        name = channel if known else "unknown"
        metrics.REPORT_PUSHES.labels(name, "refused").inc()
        if (unsaid := self.seldom.say(time.monotonic(), name)) is not None:
            _LOG.warning("a pushed report is refused", channel=name, why=str(refused), before=unsaid)
        return Unauthorized("This is not from the channel's gateway, or too old.") if known else _unknown()


def read_body(request: Request) -> bytes:
    """Whatever its type: gateways declare what they like. Raises PayloadTooLarge."""
    left = MAX_BYTES + 1 if request.body_length is None else request.body_length
    if left > MAX_BYTES + 1 or (request.body_length or 0) > MAX_BYTES:
        raise PayloadTooLarge(f"The body must be at most {MAX_BYTES} bytes.")
    parts: list[bytes] = []
    while left > 0 and (part := request.body.read(left)):
        parts.append(part)
        left -= len(part)
    body = b"".join(parts)
    if len(body) > MAX_BYTES:
        raise PayloadTooLarge(f"The body must be at most {MAX_BYTES} bytes.")
    return body


def push_of(environ: Mapping[str, object], path: str, body: bytes, public_url: str = "") -> Push:
    """From a WSGI environ; header names in lower case, as they are on the wire."""
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_") or name == "CONTENT_TYPE"
    }
    query = str(environ.get("QUERY_STRING") or "")
    base = public_url.rstrip("/") or f"{environ.get('wsgi.url_scheme')}://{environ.get('HTTP_HOST', '')}"
    return Push(f"{base}{path}" + (f"?{query}" if query else ""), headers, body)


def _unknown() -> NotFound:
    return NotFound("There is nothing at this address; /docs lists the calls.")
