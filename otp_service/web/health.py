"""Is this process alive, and should it get requests."""

from __future__ import annotations

from dataclasses import dataclass

from otp_service.web.exchange import Response, json_response


@dataclass(frozen=True, slots=True)
class Readiness:
    draining: bool
    redis_up: bool


def livez() -> Response:
    return json_response(200, {"status": "ok"})


def readyz(now: Readiness) -> Response:
    """Only draining takes a process out of the balancer: a lost Redis would take out the whole fleet at once."""
    document = {"status": "draining" if now.draining else "ok", "redis": "up" if now.redis_up else "down"}
    return json_response(503 if now.draining else 200, document)
