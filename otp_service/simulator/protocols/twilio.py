"""Twilio Messages: Basic authentication, form in, JSON out; status callbacks with `X-Twilio-Signature`."""

from __future__ import annotations

import re
from email.utils import formatdate
from hmac import compare_digest
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from otp_service.simulator import forms, numbers, signing, texts
from otp_service.simulator.centre import Order, Seen
from otp_service.simulator.mailbags import Report
from otp_service.simulator.protocol_words import Protocol, Said
from otp_service.simulator.protocols.desk import Desk, Draft, basic, json_response
from otp_service.simulator.push import Push, bare
from otp_service.simulator.wire import Reply, Request, Response

_PATH = re.compile(r"/2010-04-01/Accounts/([A-Za-z0-9]{1,100})/(Messages|Balance)\.json")
_UNREACHABLE = "30003"
"""Twilio's error dictionary: unreachable destination handset."""


class Twilio(Desk):
    protocol = Protocol.TWILIO

    def takes(self, request: Request) -> bool:
        return _PATH.fullmatch(request.path) is not None

    async def handle(self, request: Request) -> Reply:
        found = _PATH.fullmatch(request.path)
        assert found is not None
        sid, what = found.groups()
        if what == "Balance":
            return self._balance(request, sid)
        if request.method != "POST":
            return _error(Said("20004", "Method not allowed", 405))
        form = forms.read(request, ("utf-8",))
        to, text = form.get("to").strip(), form.get("body")
        code = texts.code_in(text)
        seen = self.seen(request, {**form.fields, "account": sid, "mobile": to, "content": text}, code)
        name = self._who(request, sid) or _what(to, form)
        if name is not None:
            return self.refuse(seen, name)
        account = self.account(sid)
        assert account is not None
        sender = form.get("from") or form.get("messagingservicesid")
        extras = {"to": to, "from": sender}
        callback = form.get("statuscallback")
        return await self.send(seen, Draft(account, (numbers.known_as(to),), text, code, extras, callback))

    def _who(self, request: Request, sid: str) -> str | None:
        given = basic(request)
        if given is None:
            return "credentials_missing"
        user, token = given
        account = self.account(sid)
        right = account is not None and compare_digest(token.encode(), account.settings.password.encode())
        return None if right and user == sid else "credentials"

    def _balance(self, request: Request, sid: str) -> Reply:
        account = self.account(sid)
        if account is None or self._who(request, sid) is not None:
            return _error(Said("20003", "Authenticate", 401))
        left = {"account_sid": sid, "balance": f"{account.balance / 100:.2f}", "currency": "USD"}
        return self.answer(account, json_response(left))

    def refusal(self, said: Said, seen: Seen) -> Response:
        return _error(said)

    def success(self, order: Order) -> tuple[Response, tuple[str, ...]]:
        sid, account_sid = f"SM{uuid4().hex}", order.account.id
        now = formatdate(order.at).replace("-0000", "+0000")
        path = f"/2010-04-01/Accounts/{account_sid}/Messages/{sid}"
        service = order.extras["from"].startswith("MG")
        found: dict[str, Any] = {
            "account_sid": account_sid,
            "api_version": "2010-04-01",
            "body": order.content,
            "date_created": now,
            "date_sent": None,
            "date_updated": now,
            "direction": "outbound-api",
            "error_code": None,
            "error_message": None,
            "from": None if service else order.extras["from"],
            "messaging_service_sid": order.extras["from"] if service else None,
            "num_media": "0",
            "num_segments": str(order.parts),
            "price": None,
            "price_unit": "USD",
            "sid": sid,
            "status": "accepted" if service else "queued",
            "subresource_uris": {"media": f"{path}/Media.json"},
            "to": order.extras["to"],
            "uri": f"{path}.json",
        }
        return json_response(found, 201), (sid,)

    def push(self, order: Order, report: Report, url: str) -> Push:
        status = "delivered" if report.state == "delivered" else "undelivered"
        fields = {
            "AccountSid": order.account.id,
            "ApiVersion": "2010-04-01",
            "From": order.extras["from"],
            "MessageSid": report.taskid,
            "MessageStatus": status,
            "SmsSid": report.taskid,
            "SmsStatus": status,
            "To": order.extras["to"],
        }
        if status == "undelivered":
            fields["ErrorCode"] = _UNREACHABLE
        # What is signed is the address as the receiver sees it: user and password are no part of it.
        signature = signing.twilio(order.account.settings.password, bare(url), fields)
        headers = ((b"x-twilio-signature", signature.encode()),)
        return Push(url, urlencode(fields).encode(), "application/x-www-form-urlencoded; charset=utf-8", headers)


def _what(to: str, form: forms.Form) -> str | None:
    if not to:
        return "mobile"
    if not numbers.is_e164(to):
        return "number"
    if not (form.get("from") or form.get("messagingservicesid")):
        return "sender"
    return None if form.get("body").strip() else "content"


def _error(said: Said) -> Response:
    more = f"https://www.twilio.com/docs/errors/{said.code}"
    found = {"code": int(said.code), "message": said.message, "more_info": more, "status": said.status}
    return json_response(found, said.status)
