"""Alibaba Cloud SendSms and QuerySendDetails: ACS3-HMAC-SHA256 in, JSON out; SmsReport is pushed unsigned."""

from __future__ import annotations

import json
import re
from collections import deque
from datetime import UTC, datetime
from hashlib import sha256
from hmac import compare_digest
from uuid import uuid4

from otp_service.simulator import forms, numbers, signing
from otp_service.simulator.accounts import Account
from otp_service.simulator.centre import Centre, Order, Seen
from otp_service.simulator.dialects import clock
from otp_service.simulator.forms import Form
from otp_service.simulator.inbox import Message
from otp_service.simulator.mailbags import Report
from otp_service.simulator.protocol_words import WORDS, Protocol, Said
from otp_service.simulator.protocols.desk import Desk, Draft, code_among, json_object, json_response
from otp_service.simulator.push import Push
from otp_service.simulator.wire import Reply, Request, Response

TOLERANCE = 900
"""Seconds that `x-acs-date` may be off: 15 minutes, by the documents."""
_NONCES = 10_000
_AUTHORIZATION = re.compile(r"ACS3-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})")
_SIGNED = frozenset(
    {"host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"}
)
"""Headers that must be signed."""
_WAITING, _FAILED, _ARRIVED = 1, 2, 3
"""`SendStatus`."""
_PHONE = re.compile(r"\+?[0-9]{7,15}")


class Aliyun(Desk):
    protocol = Protocol.ALIYUN

    def __init__(self, centre: Centre) -> None:
        super().__init__(centre)
        self._nonces: deque[str] = deque(maxlen=_NONCES)

    def takes(self, request: Request) -> bool:
        return request.path == "/" and request.header(b"x-acs-action") != ""

    async def handle(self, request: Request) -> Reply:
        form = forms.read(request, ("utf-8",))
        found = _AUTHORIZATION.fullmatch(request.header(b"authorization"))
        account = self.account(found[1]) if found else None
        name = "credentials_missing" if found is None else None
        if found is not None:
            name = "credentials" if account is None else self._who(request, account, found[2], found[3])
        if request.header(b"x-acs-action") == "QuerySendDetails":
            return self._details(request, form, account, name)
        parameters = _parameters(form.get("templateparam"))
        content = f"【{form.get('signname')}】{form.get('templatecode')} {form.get('templateparam')}"
        code = None if parameters is None else parameters.get("code") or code_among(list(parameters.values()))
        fields = {**form.fields, "mobile": form.get("phonenumbers"), "content": content}
        seen = self.seen(request, {**fields, "account": found[1] if found else ""}, code)
        if name is None and request.header(b"x-acs-action") != "SendSms":
            name = "action"
        name = name or self._what(form, account, parameters)
        if name is not None or account is None:
            return self.refuse(seen, name or "credentials")
        mobiles = tuple(numbers.known_as(one.strip()) for one in form.get("phonenumbers").split(","))
        return await self.send(seen, Draft(account, mobiles, content, code, {"outid": form.get("outid")}))

    def _who(self, request: Request, account: Account, signed: str, signature: str) -> str | None:
        names = signed.split(";")
        headers = {name: request.header(name.encode("latin-1")) for name in names}
        at, nonce = _instant(request.header(b"x-acs-date")), request.header(b"x-acs-signature-nonce")
        if at is None or abs(at - self.centre.now()) > TOLERANCE:
            return "timestamp"
        whole = set(names) >= _SIGNED and request.header(b"x-acs-content-sha256") == sha256(request.body).hexdigest()
        wanted = signing.acs3(
            account.settings.password, request.method, "/", request.query, headers, names, request.body
        )
        if not whole or not compare_digest(wanted, signature):
            return "sign"
        if nonce in self._nonces:
            return "nonce"
        self._nonces.append(nonce)
        return None

    def _what(self, form: Form, account: Account | None, parameters: dict[str, str] | None) -> str | None:
        if account is None:
            return "credentials"
        phones = [one.strip() for one in form.get("phonenumbers").split(",") if one.strip()]
        if not phones:
            return "mobile"
        if not all(map(_PHONE.fullmatch, phones)):
            return "number"
        if not form.get("templatecode"):
            return "content"
        rules = account.settings
        if not rules.signature_min <= len(form.get("signname")) <= rules.signature_max:
            return "signature"
        if rules.templates and form.get("templatecode") not in rules.templates:
            return "template"
        if parameters is None:
            return "parameters"
        return "extno" if not form.get("smsupextendcode").isdecimal() and form.get("smsupextendcode") else None

    def _details(self, request: Request, form: Form, account: Account | None, name: str | None) -> Reply:
        """What became of the messages to one number, newest first; BizId narrows it to one."""
        if name is not None or account is None:
            return _refusal(WORDS[self.protocol][name or "credentials"], request)
        mobile, biz_id = numbers.known_as(form.get("phonenumber")), form.get("bizid")
        if not (mobile and form.get("senddate") and form.get("pagesize") and form.get("currentpage")):
            said = Said("MissingParameter", "PhoneNumber, SendDate, PageSize and CurrentPage are mandatory.", 400)
            return _refusal(said, request)
        sent = [one for one in self.centre.inbox.find(mobile=mobile) if one.account == account.name]
        rows = [self._detail(account, one) for one in sent if biz_id in {"", one.taskid}]
        found = {"SmsSendDetailDTOs": {"SmsSendDetailDTO": rows}, "TotalCount": len(rows)}
        return self.answer(account, json_response({"Code": "OK", "Message": "OK", "RequestId": _request_id(), **found}))

    def _detail(self, account: Account, message: Message) -> dict[str, object]:
        report = self.centre.reports.look(account.name, self.centre.now(), message.taskid, message.mobile)
        row: dict[str, object] = {
            "PhoneNum": message.mobile.removeprefix("+"),
            "SendDate": clock(message.at),
            "TemplateCode": message.exchange.form.get("templatecode"),
            "Content": message.content,
            "OutId": message.exchange.form.get("outid"),
            "SendStatus": _WAITING,
        }
        if report is None:
            return row
        delivered = report.state == "delivered"
        code = "DELIVERED" if delivered else report.errorcode
        status = _ARRIVED if delivered else _FAILED
        return {**row, "SendStatus": status, "ErrCode": code, "ReceiveDate": clock(report.at)}

    def refusal(self, said: Said, seen: Seen) -> Response:
        return _refusal(said, seen.request)

    def success(self, order: Order) -> tuple[Response, tuple[str, ...]]:
        biz_id = f"{self.centre.next_task()}{int(order.at * 1000) % 10**8:08}^0"
        found = {"Code": "OK", "Message": "OK", "RequestId": _request_id(), "BizId": biz_id}
        return json_response(found), (biz_id,) * len(order.mobiles)

    def waits(self, *, pushed: bool) -> bool:
        # A query looks a report up and leaves it there.
        return True

    def push(self, order: Order, report: Report, url: str) -> Push:
        delivered = report.state == "delivered"
        row = {
            "phone_number": report.mobile.removeprefix("+"),
            "send_time": clock(report.at),
            "report_time": clock(self.centre.now()),
            "success": delivered,
            "err_code": "DELIVERED" if delivered else report.errorcode,
            "err_msg": "用户接收成功" if delivered else "用户接收失败",
            "sms_size": str(order.parts),
            "biz_id": report.taskid,
            "out_id": order.extras["outid"],
        }
        return Push(url, json.dumps([row], ensure_ascii=False).encode(), "application/json; charset=utf-8")


def _refusal(said: Said, request: Request) -> Response:
    found = {"Code": said.code, "Message": said.message, "RequestId": _request_id()}
    if said.status != 200:
        found["HostId"] = request.header(b"host")
    return json_response(found, said.status)


def _parameters(text: str) -> dict[str, str] | None:
    """TemplateParam: an object of strings, or nothing at all; None when it is neither."""
    if not text:
        return {}
    found = json_object(text.encode())
    return found if found is not None and all(isinstance(value, str) for value in found.values()) else None


def _instant(text: str) -> float | None:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _request_id() -> str:
    return str(uuid4()).upper()
