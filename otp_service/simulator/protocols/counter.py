"""Which desk a request belongs to: by path, and where several share `/`, by header."""

from __future__ import annotations

from otp_service.simulator.centre import Centre
from otp_service.simulator.protocols.aliyun import Aliyun
from otp_service.simulator.protocols.desk import Desk
from otp_service.simulator.protocols.tencent import Tencent
from otp_service.simulator.protocols.twilio import Twilio
from otp_service.simulator.protocols.vonage import Vonage
from otp_service.simulator.protocols.webhook import Webhook
from otp_service.simulator.wire import Request


class Counter:
    """All desks, side by side."""

    def __init__(self, centre: Centre) -> None:
        self._desks: tuple[Desk, ...] = tuple(kind(centre) for kind in (Twilio, Aliyun, Tencent, Vonage, Webhook))

    def desk(self, request: Request) -> Desk | None:
        return next((desk for desk in self._desks if desk.takes(request)), None)
