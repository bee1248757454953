"""Vonage SMS: key and secret as fields, form or JSON in, JSON out with HTTP 200 whatever happened; receipts as JSON."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from hmac import compare_digest
from uuid import uuid4

from otp_service.simulator import forms, numbers, signing, texts
from otp_service.simulator.accounts import Account
from otp_service.simulator.centre import Order, Seen
from otp_service.simulator.checks import TOLERANCE
from otp_service.simulator.forms import Form
from otp_service.simulator.mailbags import Report
from otp_service.simulator.protocol_words import Protocol, Said
from otp_service.simulator.protocols.desk import Desk, Draft, basic, json_object, json_response
from otp_service.simulator.push import Push
from otp_service.simulator.wire import Reply, Request, Response

_SEND, _BALANCE = "/sms/json", "/account/get-balance"
_PRICE = "0.03330000"


class Vonage(Desk):
    protocol = Protocol.VONAGE

    def takes(self, request: Request) -> bool:
        return request.path in {_SEND, _BALANCE}

    async def handle(self, request: Request) -> Reply:
        form = _read(request)
        account = self.account(form.get("api_key"))
        if request.path == _BALANCE:
            account = self._asking(request, form)
            if account is None:
                return json_response({"error-code": "401", "error-code-label": "authentication failed"}, 401)
            return self.answer(account, json_response({"value": account.balance / 100, "autoReload": False}))
        if request.method not in {"GET", "POST"}:
            return json_response({"error-code": "405"}, 405)
        to, text = form.get("to").strip().removeprefix("+").removeprefix("00"), form.get("text")
        fields = {**form.fields, "account": form.get("api_key"), "mobile": to, "content": text}
        seen = self.seen(request, fields, texts.code_in(text))
        name = self._objects(form, account, to)
        if name is not None or account is None:
            return self.refuse(seen, name or "credentials")
        extras = {"to": to, "from": form.get("from"), "client-ref": form.get("client-ref")}
        mobiles = (numbers.known_as(f"+{to}"),)
        draft = Draft(account, mobiles, text, texts.code_in(text), extras, form.get("callback"))
        return await self.send(seen, draft)

    def _asking(self, request: Request, form: Form) -> Account | None:
        """Who asks for the balance: key and secret are in the header, or in the query."""
        key, secret = basic(request) or (form.get("api_key"), form.get("api_secret"))
        account = self.account(key)
        right = account is not None and compare_digest(secret.encode(), account.settings.password.encode())
        return account if right else None

    def _who(self, form: Form, account: Account | None) -> str | None:
        if not form.get("api_key") or not (form.get("api_secret") or form.get("sig")):
            return "credentials_missing"
        if account is None:
            return "credentials"
        if not form.get("sig"):
            right = compare_digest(form.get("api_secret").encode(), account.settings.password.encode())
            return None if right else "credentials"
        stamp, secret = form.get("timestamp"), account.settings.report_secret
        if not re.fullmatch("[0-9]{1,12}", stamp) or abs(int(stamp) - self.centre.now()) > TOLERANCE:
            return "timestamp"
        right = bool(secret) and compare_digest(form.get("sig").lower(), signing.vonage(secret, form.fields))
        return None if right else "sign"

    def _objects(self, form: Form, account: Account | None, to: str) -> str | None:
        name = self._who(form, account)
        if name is not None:
            return name
        if not to:
            return "mobile"
        if not numbers.is_e164(f"+{to}"):
            return "number"
        if not form.get("from"):
            return "sender"
        return None if form.get("text").strip() else "content"

    def refusal(self, said: Said, seen: Seen) -> Response:
        return json_response({"message-count": "1", "messages": [{"status": said.code, "error-text": said.message}]})

    def success(self, order: Order) -> tuple[Response, tuple[str, ...]]:
        # One entry a part, as there; the report speaks of the first.
        ids = tuple(str(uuid4()) for _ in range(order.parts))
        reference = {"client-ref": order.extras["client-ref"]} if order.extras["client-ref"] else {}
        messages = [
            {
                "to": order.extras["to"],
                "message-id": one,
                "status": "0",
                "remaining-balance": f"{order.account.balance / 100:.8f}",
                "message-price": _PRICE,
                "network": "00000",
                **reference,
            }
            for one in ids
        ]
        return json_response({"message-count": str(order.parts), "messages": messages}), ids[:1]

    def push(self, order: Order, report: Report, url: str) -> Push:
        at = datetime.fromtimestamp(self.centre.now(), UTC)
        receipt = {
            "msisdn": order.extras["to"],
            "to": order.extras["from"],
            "network-code": "00000",
            "messageId": report.taskid,
            "price": _PRICE,
            "status": "delivered" if report.state == "delivered" else "failed",
            "scts": at.strftime("%y%m%d%H%M"),
            "err-code": "0" if report.state == "delivered" else "1",
            "api-key": order.account.id,
            "message-timestamp": at.strftime("%Y-%m-%d %H:%M:%S"),
        }
        if order.extras["client-ref"]:
            receipt["client-ref"] = order.extras["client-ref"]
        if secret := order.account.settings.report_secret:
            receipt |= {"timestamp": str(int(at.timestamp())), "nonce": report.id}
            receipt["sig"] = signing.vonage(secret, receipt)
        return Push(url, json.dumps(receipt).encode(), "application/json")


def _read(request: Request) -> Form:
    if request.header(b"content-type").partition(";")[0].strip().lower() != "application/json":
        return forms.read(request, ("utf-8",))
    found = json_object(request.body) or {}
    return Form({name.lower(): value for name, value in found.items() if isinstance(value, str)})
