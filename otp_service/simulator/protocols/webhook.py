"""The caller's own sender: a Standard Webhooks message in, its id out. `POST /webhook/{account}`."""

from __future__ import annotations

import json
import re
from hmac import compare_digest
from typing import Any
from uuid import uuid4

from otp_service.simulator import numbers, signing, texts
from otp_service.simulator.accounts import Account
from otp_service.simulator.centre import Order, Seen
from otp_service.simulator.checks import TOLERANCE
from otp_service.simulator.dialects import rfc3339
from otp_service.simulator.mailbags import Report
from otp_service.simulator.protocol_words import Protocol, Said
from otp_service.simulator.protocols.desk import Desk, Draft, json_object, json_response
from otp_service.simulator.push import Push, standard_headers
from otp_service.simulator.wire import Reply, Request, Response

_PATH = re.compile(r"/webhook/([^/]{1,100})")
_STAMP = re.compile(r"[0-9]{1,12}")


class Webhook(Desk):
    protocol = Protocol.WEBHOOK

    def takes(self, request: Request) -> bool:
        return _PATH.fullmatch(request.path) is not None

    async def handle(self, request: Request) -> Reply:
        found = _PATH.fullmatch(request.path)
        assert found is not None
        if request.method != "POST":
            return Response(405, b"POST", headers=((b"allow", b"POST"),))
        body = json_object(request.body)
        fields = {name: value for name, value in (body or {}).items() if isinstance(value, str)}
        to, text = fields.get("to", ""), fields.get("text", "")
        code = fields.get("code") or texts.code_in(text)
        seen = self.seen(request, {**fields, "account": found[1], "mobile": to, "content": text}, code)
        account = self.account(found[1])
        name = _who(request, account, self.centre.now()) or _what(body, to, text)
        if name is not None or account is None:
            return self.refuse(seen, name or "credentials")
        return await self.send(seen, Draft(account, (numbers.known_as(to),), text, code, {"to": to}))

    def refusal(self, said: Said, seen: Seen) -> Response:
        return json_response({"error": said.code, "message": said.message}, said.status)

    def success(self, order: Order) -> tuple[Response, tuple[str, ...]]:
        message_id = f"out_{uuid4().hex}"
        return json_response({"id": message_id}), (message_id,)

    def push(self, order: Order, report: Report, url: str) -> Push:
        found = {
            "type": "message.report",
            "id": report.taskid,
            "to": order.extras["to"],
            "status": report.state,
            "detail": report.errorcode,
            "at": rfc3339(report.at),
        }
        body = json.dumps(found).encode()
        headers = standard_headers(order.account.settings.password, report.id, self.centre.now(), body)
        return Push(url, body, "application/json", headers)


def _who(request: Request, account: Account | None, now: float) -> str | None:
    if account is None:
        return "credentials"
    message_id, stamp = request.header(b"webhook-id"), request.header(b"webhook-timestamp")
    given = request.header(b"webhook-signature")
    if not (message_id and stamp and given):
        return "credentials_missing"
    if not _STAMP.fullmatch(stamp) or abs(int(stamp) - now) > TOLERANCE:
        return "timestamp"
    wanted = signing.webhook(account.settings.password, message_id, stamp, request.body)
    # Several while a secret is being changed; one has to be right.
    right = any(compare_digest(one.encode("latin-1"), wanted.encode()) for one in given.split(" "))
    return None if right else "sign"


def _what(body: dict[str, Any] | None, to: str, text: str) -> str | None:
    if body is None or body.get("type") != "message.send":
        return "parameters"
    if not to:
        return "mobile"
    if not numbers.is_e164(to):
        return "number"
    return None if text.strip() else "content"
