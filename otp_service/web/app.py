"""Flask's part: it finds the endpoint for a path, and turns its own errors into problems."""

from __future__ import annotations

import re
from collections.abc import Callable

from flask import Flask, request
from flask import Response as FlaskResponse
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed as WerkzeugMethodNotAllowed
from werkzeug.routing import BaseConverter

from otp_service.errors import (
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    Problem,
    UnsupportedMediaType,
)
from otp_service.web import health, pages
from otp_service.web.edge import Edge
from otp_service.web.exchange import Request, Response
from otp_service.web.front import Front
from otp_service.web.headroom import Headroom
from otp_service.web.pulse import Pulse
from otp_service.web.routes import CALLS, Call
from otp_service.web.service import Service, answer, answer_push
from otp_service.web.trace import TRACE, Trace

_VARIABLE = re.compile(r"<(?:\w+:)?(\w+)>")


class _VerificationId(BaseConverter):
    """Any one segment but `check` and `lookup`, calls of their own: another method there is a 405, no unknown id."""

    regex = r"(?!(?:check|lookup)$)[^/]+"


def create_app(service: Service, headroom: Headroom | None = None) -> Flask:
    """The WSGI application that `serve` runs."""
    app = Flask("otp_service.web", static_folder=None)
    # An error must be our answer even under a test or a debug flag, never Werkzeug's page with its console.
    app.config.update(PROPAGATE_EXCEPTIONS=False, TRAP_HTTP_EXCEPTIONS=False)
    # Two slashes are not one: a redirect would have callers repeat a POST somewhere else.
    app.url_map.merge_slashes = False
    app.url_map.converters["verification"] = _VerificationId
    pulse = Pulse(service.verifier.store_is_up)
    for call in CALLS:
        rule = call.path.replace("{id}", "<verification:id>")
        app.add_url_rule(rule, call.operation, _view(service, call), methods=[call.method])
    app.add_url_rule("/reports/<channel>", "reports", _push_view(service), methods=["POST"])
    app.add_url_rule("/livez", "livez", lambda: to_flask(health.livez()))
    app.add_url_rule("/readyz", "readyz", lambda: to_flask(health.readyz(_readiness(service, pulse))))
    app.register_blueprint(pages.blueprint(service.version))
    app.before_request(_note_the_route(app))
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _mistake)
    calls = Front(service, app.wsgi_app) if service.fast_path else app.wsgi_app
    within = (headroom or Headroom()).before(calls)
    app.wsgi_app = Edge(within, service.draining)  # type: ignore[method-assign]
    return app


def to_flask(response: Response) -> FlaskResponse:
    served = FlaskResponse(response.body, response.status, content_type=response.content_type)
    served.headers.extend(response.headers)
    return served


def _view(service: Service, call: Call) -> Callable[..., FlaskResponse]:
    endpoint = call.endpoint

    def view(id: str = "") -> FlaskResponse:
        asked = Request.from_environ(request.environ, request.path, id)
        return to_flask(answer(service, endpoint, asked, request.environ[TRACE]))

    return view


def _push_view(service: Service) -> Callable[..., FlaskResponse]:
    def view(channel: str) -> FlaskResponse:
        asked = Request.from_environ(request.environ, request.path)
        return to_flask(answer_push(service, channel, asked, request.environ, request.environ[TRACE]))

    return view


def _readiness(service: Service, pulse: Pulse) -> health.Readiness:
    return health.Readiness(draining=service.draining(), redis_up=pulse())


def _note_the_route(app: Flask) -> Callable[[], None]:
    templates = {rule.rule: _VARIABLE.sub(r"{\1}", rule.rule) for rule in app.url_map.iter_rules()}

    def note() -> None:
        if request.url_rule is not None:
            trace: Trace = request.environ[TRACE]
            trace.route = templates[request.url_rule.rule]

    return note


def _http_error(error: HTTPException) -> FlaskResponse:
    trace: Trace = request.environ[TRACE]
    served = to_flask(trace.refused(_as_problem(error)))
    if isinstance(error, WerkzeugMethodNotAllowed) and error.valid_methods:
        served.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return served


def _as_problem(error: HTTPException) -> Problem:
    """Werkzeug's description may quote what was sent, so each problem has words of our own."""
    match error.code:
        case 404:
            return NotFound("There is nothing at this address; /docs lists the calls.")
        case 405:
            return MethodNotAllowed(
                "This address does not take this method; the header Allow lists those that it does."
            )
        case 413:
            return PayloadTooLarge("The request is too large.")
        case 415:
            return UnsupportedMediaType("Send the body as JSON, with the header `Content-Type: application/json`.")
        case _:
            return InvalidRequest("The request line or a header is malformed.")


def _mistake(error: Exception) -> FlaskResponse:
    trace: Trace = request.environ[TRACE]
    return to_flask(trace.unforeseen(error))
