"""Tencent Cloud SendSms, PullSmsSendStatus, PullSmsReplyStatus: TC3-HMAC-SHA256 in, JSON with HTTP 200 out."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from hmac import compare_digest
from typing import Any
from uuid import uuid4

from otp_service.simulator import numbers, signing
from otp_service.simulator.accounts import Account
from otp_service.simulator.centre import Order, Seen
from otp_service.simulator.checks import TOLERANCE
from otp_service.simulator.dialects import clock
from otp_service.simulator.mailbags import HandsetReply, Report
from otp_service.simulator.protocol_words import WORDS, Protocol, Said
from otp_service.simulator.protocols.desk import Desk, Draft, code_among, json_object, json_response
from otp_service.simulator.push import Push
from otp_service.simulator.wire import Reply, Request, Response

_AUTHORIZATION = re.compile(
    r"TC3-HMAC-SHA256 Credential=([^/,]+)/([0-9]{4}-[0-9]{2}-[0-9]{2})/([a-z]+)/tc3_request, ?"
    r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})"
)
_SIGNED = frozenset({"content-type", "host"})
"""Headers that must be signed."""
_PHONE = re.compile(r"(?:\+[1-9][0-9]{6,14}|(?:0086|86)?1[3-9][0-9]{9})")
_PULLS = frozenset({"PullSmsSendStatus", "PullSmsReplyStatus"})
_MOST_ROWS = 100


class Tencent(Desk):
    protocol = Protocol.TENCENT

    def takes(self, request: Request) -> bool:
        return request.path == "/" and request.header(b"x-tc-action") != ""

    async def handle(self, request: Request) -> Reply:
        found = _AUTHORIZATION.fullmatch(request.header(b"authorization"))
        account = self.account(found[1]) if found else None
        name = "credentials_missing" if found is None else None
        if found is not None:
            name = "credentials" if account is None else self._who(request, account, found)
        body = json_object(request.body)
        if request.header(b"x-tc-action") in _PULLS:
            return self._pull(request.header(b"x-tc-action"), account, name, body)
        return await self._send(request, found[1] if found else "", account, name, body)

    async def _send(
        self, request: Request, key: str, account: Account | None, name: str | None, body: dict[str, Any] | None
    ) -> Reply:
        body = body or {}
        phones, parameters = _strings(body.get("PhoneNumberSet")), _strings(body.get("TemplateParamSet", []))
        sign, template = str(body.get("SignName") or ""), str(body.get("TemplateId") or "")
        content = f"【{sign}】{template} {json.dumps(parameters, ensure_ascii=False)}"
        code = None if parameters is None else code_among(parameters)
        fields = {"account": key, "mobile": ",".join(phones or ()), "content": content, "template": template}
        seen = self.seen(request, fields, code)
        if name is None and request.header(b"x-tc-action") != "SendSms":
            name = "action"
        name = name or _what(account, phones, parameters, template, sign, str(body.get("ExtendCode") or ""))
        if name is not None or account is None or phones is None:
            return self.refuse(seen, name or "credentials")
        mobiles = tuple(numbers.known_as(phone.removeprefix("00")) for phone in phones)
        extras = {"context": str(body.get("SessionContext") or "")}
        return await self.send(seen, Draft(account, mobiles, content, code, extras))

    def _who(self, request: Request, account: Account, found: re.Match[str]) -> str | None:
        _, date, service, signed, signature = found.groups()
        stamp = request.header(b"x-tc-timestamp")
        if not re.fullmatch("[0-9]{1,12}", stamp) or abs(int(stamp) - self.centre.now()) > TOLERANCE:
            return "timestamp"
        names = signed.split(";")
        headers = {name: request.header(name.encode("latin-1")) for name in names}
        wanted = signing.tc3(account.settings.password, (date, service), stamp, headers, names, request.body)
        scoped = service == "sms" and date == datetime.fromtimestamp(int(stamp), UTC).strftime("%Y-%m-%d")
        right = scoped and set(names) >= _SIGNED and compare_digest(wanted, signature)
        return None if right else "sign"

    def _pull(self, action: str, account: Account | None, name: str | None, body: dict[str, Any] | None) -> Reply:
        if name is not None or account is None:
            return _whole(WORDS[self.protocol][name or "credentials"])
        limit = (body or {}).get("Limit")
        if not isinstance(limit, int) or not 1 <= limit <= _MOST_ROWS:
            return _whole(WORDS[self.protocol]["parameters"])
        if action == "PullSmsReplyStatus":
            rows = [_reply(reply) for reply in self.centre.replies.take(account.name, limit)]
        else:
            rows = [_row(report) for report in self.pulled(account, limit)]
        return self.answer(account, _response({f"{action}Set": rows}))

    def refusal(self, said: Said, seen: Seen) -> Response:
        if said.whole:
            return _whole(said)
        phones = seen.form.get("mobile").split(",")
        return _response({"SendStatusSet": [_status(phone, said.code, said.message) for phone in phones]})

    def success(self, order: Order) -> tuple[Response, tuple[str, ...]]:
        serials = tuple(f"2640:{self.centre.next_task()}{uuid4().int % 10**12:012}" for _ in order.mobiles)
        rows = [
            _status(numbers.e164(mobile), "Ok", "send success", serial, order.parts, order.extras["context"])
            for mobile, serial in zip(order.mobiles, serials, strict=True)
        ]
        return _response({"SendStatusSet": rows}), serials

    def waits(self, *, pushed: bool) -> bool:
        return not pushed

    def push(self, order: Order, report: Report, url: str) -> Push:
        nation, mobile = _split(report.mobile)
        row = {
            "user_receive_time": clock(self.centre.now()),
            "nationcode": nation,
            "mobile": mobile,
            "report_status": "SUCCESS" if report.state == "delivered" else "FAIL",
            "errmsg": report.errorcode,
            "description": "用户短信送达成功" if report.state == "delivered" else "用户短信送达失败",
            "sid": report.taskid,
            "ext": order.extras["context"],
        }
        return Push(url, json.dumps([row], ensure_ascii=False).encode(), "application/json; charset=utf-8")


def _what(
    account: Account | None,
    phones: list[str] | None,
    parameters: list[str] | None,
    template: str,
    sign: str,
    extend: str,
) -> str | None:
    if account is None:
        return "credentials"
    if phones is None or parameters is None or (extend and not extend.isdecimal()):
        return "parameters"
    if not phones:
        return "mobile"
    if not all(map(_PHONE.fullmatch, phones)):
        return "number"
    if not template:
        return "content"
    rules = account.settings
    if not rules.signature_min <= len(sign) <= rules.signature_max:
        return "signature"
    return "template" if rules.templates and template not in rules.templates else None


def _strings(found: object) -> list[str] | None:
    """A list of strings; no list at all is an empty one; None when something else is in it."""
    if found is None:
        return []
    return list(found) if isinstance(found, list) and all(isinstance(one, str) for one in found) else None


def _split(mobile: str) -> tuple[str, str]:
    """Country code and the rest. Only China's is cut off: the others would need a numbering plan."""
    return ("86", mobile) if not mobile.startswith("+") else ("", mobile.removeprefix("+"))


def _row(report: Report) -> dict[str, object]:
    nation, mobile = _split(report.mobile)
    return {
        "Description": report.errorcode,
        "CountryCode": nation,
        "SubscriberNumber": mobile,
        "ReportStatus": "SUCCESS" if report.state == "delivered" else "FAIL",
        "PhoneNumber": numbers.e164(report.mobile),
        "SerialNo": report.taskid,
        "UserReceiveTime": int(report.at),
        "SessionContext": report.extras.get("context", ""),
    }


def _reply(reply: HandsetReply) -> dict[str, object]:
    nation, mobile = _split(reply.mobile)
    return {
        "ExtendCode": reply.extno,
        "CountryCode": nation,
        "SubscriberNumber": mobile,
        "PhoneNumber": numbers.e164(reply.mobile),
        "SignName": "",
        "ReplyContent": reply.content,
        "ReplyTime": int(reply.at),
    }


def _status(
    phone: str, code: str, message: str, serial: str = "", fee: int = 0, context: str = ""
) -> dict[str, object]:
    return {
        "SerialNo": serial,
        "PhoneNumber": phone,
        "Fee": fee,
        "SessionContext": context,
        "Code": code,
        "Message": message,
        "IsoCode": "CN" if phone.startswith("+86") else "",
    }


def _response(found: dict[str, object]) -> Response:
    return json_response({"Response": {**found, "RequestId": str(uuid4())}})


def _whole(said: Said) -> Response:
    return _response({"Error": {"Code": said.code, "Message": said.message}})
