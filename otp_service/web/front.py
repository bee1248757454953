"""The two hot calls, served in front of Flask: its dispatch costs more than all the rest of such a request.

They are the same endpoints that Flask serves; whatever is not plainly one of them goes on to Flask.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from otp_service.web import endpoints
from otp_service.web.edge import respond
from otp_service.web.exchange import Request
from otp_service.web.service import Service, answer
from otp_service.web.trace import TRACE, Trace

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_START = "/v1/verifications"
_CHECK = "/v1/verifications/{id}/check"
_CHECK_PATH = re.compile(r"/v1/verifications/([A-Za-z0-9_-]+)/check")


class Front:
    """WSGI in, WSGI out. `behind` serves everything else."""

    def __init__(self, service: Service, behind: WSGIApplication) -> None:
        self._service = service
        self._behind = behind

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "POST":
            return self._behind(environ, start_response)
        path: str = environ.get("PATH_INFO", "")
        trace: Trace = environ[TRACE]
        if path == _START:
            trace.route = _START
            asked = Request.from_environ(environ, path)
            return respond(answer(self._service, endpoints.start, asked, trace), start_response)
        if match := _CHECK_PATH.fullmatch(path):
            trace.route = _CHECK
            asked = Request.from_environ(environ, path, match[1])
            return respond(answer(self._service, endpoints.check, asked, trace), start_response)
        return self._behind(environ, start_response)
