"""What the endpoints need, and how one call is answered whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from otp_service.errors import Problem
from otp_service.policy import Client
from otp_service.web.exchange import Request, Response
from otp_service.web.pushes import PushDesk, push_of, read_body
from otp_service.web.trace import Trace

if TYPE_CHECKING:
    from otp_service.verifier import Verifier

Endpoint = Callable[["Verifier", Client, Request], Response]


class CallerKeys(Protocol):
    def client_for(self, authorization: str | None) -> Client:
        """The client whose key the `Authorization` header holds. Raises Unauthorized, Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Service:
    verifier: Verifier
    keys: CallerKeys
    draining: Callable[[], bool]
    """True once this process should get no more requests."""
    version: str
    pushes: PushDesk = field(default_factory=PushDesk)
    """What takes the reports that gateways push."""
    fast_path: bool = True
    """Start and check are answered in front of Flask: by the same endpoints, at a fraction of the cost."""


def answer(service: Service, endpoint: Endpoint, request: Request, trace: Trace) -> Response:
    """Authenticate and call. Never raises: a refusal and a mistake are answers too."""
    try:
        client = service.keys.client_for(request.authorization)
        trace.client = client.name
        return endpoint(service.verifier, client, request)
    except Problem as problem:
        return trace.refused(problem)
    except Exception as error:
        return trace.unforeseen(error)


def answer_push(
    service: Service, channel: str, request: Request, environ: Mapping[str, object], trace: Trace
) -> Response:
    """Never raises, as `answer`; the channel's own reader authenticates."""
    try:
        body = read_body(request)
        return service.pushes.take(channel, push_of(environ, request.path, body, service.pushes.public_url))
    except Problem as problem:
        return trace.refused(problem)
    except Exception as error:
        return trace.unforeseen(error)
