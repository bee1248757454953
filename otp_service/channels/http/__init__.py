"""The one way out to HTTP gateways: one request, one total deadline, a capped answer, a clear word on what left us."""

from otp_service.channels.http.answer import MAX_ANSWER, HttpAnswer
from otp_service.channels.http.client import GatewayClient
from otp_service.channels.http.errors import HttpError, MaybeSent, NotSent
from otp_service.channels.http.silence import silence_http_loggers

__all__ = [  # noqa: RUF022 - sorted as the tree's other lists are
    "GatewayClient",
    "HttpAnswer",
    "HttpError",
    "MAX_ANSWER",
    "MaybeSent",
    "NotSent",
    "silence_http_loggers",
]
