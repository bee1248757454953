"""What `admin_bind` serves, for API and worker alike: livez, readyz and metrics. A worker needs no Flask for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.registry import Collector

from otp_service.errors import MethodNotAllowed, NotFound
from otp_service.web.edge import Edge, respond
from otp_service.web.exchange import Response
from otp_service.web.health import Readiness, livez, readyz
from otp_service.web.trace import TRACE, Trace

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def admin_app(
    readiness: Callable[[], Readiness], registry: CollectorRegistry = REGISTRY, collectors: Sequence[Collector] = ()
) -> WSGIApplication:
    """A WSGI application; `readiness` is asked at each `/readyz`. `collectors` show beside what `registry` counts."""
    own = CollectorRegistry()
    for collector in collectors:
        own.register(collector)
    pages: dict[str, Callable[[], Response]] = {
        "/livez": livez,
        "/readyz": lambda: readyz(readiness()),
        "/metrics": lambda: Response(200, generate_latest(registry) + generate_latest(own), CONTENT_TYPE_LATEST),
    }

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        trace: Trace = environ[TRACE]
        method: str = environ["REQUEST_METHOD"]
        page = pages.get(environ.get("PATH_INFO", ""))
        if page is None:
            response = trace.refused(NotFound("Here are /livez, /readyz and /metrics."))
        elif method not in ("GET", "HEAD"):
            trace.route = environ["PATH_INFO"]
            response = _only_reads(trace)
        else:
            trace.route = environ["PATH_INFO"]
            response = page()
        body = respond(response, start_response)
        return [] if method == "HEAD" else body

    return Edge(serve)


def _only_reads(trace: Trace) -> Response:
    refused = trace.refused(MethodNotAllowed("Use GET."))
    return Response(refused.status, refused.body, refused.content_type, (("Allow", "GET, HEAD"),))
