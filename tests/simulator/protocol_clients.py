"""The other protocols from the caller's side, written from the vendors' documents, with the simulator's demo accounts.

Signatures are computed here with hashlib alone, and checked against published vectors in `test_simulator_signing`: a
mistake of the simulator's own is not repeated.
"""

from __future__ import annotations

import hmac
import json
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import httpx
from simulator_helpers import Simulator

from otp_service.simulator import DEMO

ABROAD = "+447700900123"
TEXT = "Acme: 345678 is your code, valid for 5 minutes."


def twilio(
    simulator: Simulator, token: str | None = None, sid: str = DEMO["twilio"].id, **fields: str
) -> httpx.Response:
    good = {"To": ABROAD, "From": "+15005550006", "Body": TEXT, **fields}
    path = f"/2010-04-01/Accounts/{sid}/Messages.json"
    return simulator.http.post(path, data=good, auth=(sid, token or DEMO["twilio"].secret))


def vonage(simulator: Simulator, **fields: str) -> httpx.Response:
    account = DEMO["vonage"]
    good = {"api_key": account.id, "api_secret": account.secret, "to": ABROAD[1:], "from": "Acme", "text": TEXT}
    return simulator.http.post("/sms/json", data={**good, **fields})


def aliyun(
    simulator: Simulator,
    *,
    secret: str = DEMO["aliyun"].secret,
    key: str = DEMO["aliyun"].id,
    at: float | None = None,
    nonce: str = "",
    action: str = "SendSms",
    **fields: str,
) -> httpx.Response:
    good = {}
    if action != "QuerySendDetails":
        good = {"PhoneNumbers": "13800138000", "SignName": "今信科技", "TemplateCode": "SMS_154950909"}
        good["TemplateParam"] = '{"code":"345678"}'
    parameters = {**good, **fields}
    url = simulator.http.base_url.copy_merge_params(parameters)
    headers = {
        "host": f"{simulator.host}:{simulator.port}",
        "x-acs-action": action,
        "x-acs-content-sha256": sha256(b"").hexdigest(),
        "x-acs-date": datetime.fromtimestamp(at or time.time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": nonce or uuid4().hex,
        "x-acs-version": "2017-05-25",
    }
    headers["authorization"] = acs3_authorization(key, secret, "POST", "/", parameters, headers, b"")
    return simulator.http.post(url, headers=headers)


def acs3_authorization(
    key: str,
    secret: str,
    method: str,
    path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    body: bytes,
) -> str:
    canonical_query = "&".join(f"{_encoded(name)}={_encoded(query[name])}" for name in sorted(query))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    signed = ";".join(sorted(headers))
    request = f"{method}\n{path}\n{canonical_query}\n{lines}\n{signed}\n{sha256(body).hexdigest()}"
    to_sign = f"ACS3-HMAC-SHA256\n{sha256(request.encode()).hexdigest()}"
    signature = hmac.new(secret.encode(), to_sign.encode(), sha256).hexdigest()
    return f"ACS3-HMAC-SHA256 Credential={key},SignedHeaders={signed},Signature={signature}"


def _encoded(text: str) -> str:
    unreserved = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~"
    return "".join(chr(byte) if byte in unreserved else f"%{byte:02X}" for byte in text.encode())


def tencent(
    simulator: Simulator,
    action: str = "SendSms",
    *,
    secret: str = DEMO["tencent"].secret,
    key: str = DEMO["tencent"].id,
    at: float | None = None,
    **members: object,
) -> httpx.Response:
    good: dict[str, object] = {"SmsSdkAppId": "1400006666"}
    if action == "SendSms":
        good |= {"PhoneNumberSet": ["+8613800138000"], "SignName": "今信科技", "TemplateId": "1110"}
        good["TemplateParamSet"] = ["345678", "5"]
    body = json.dumps({**good, **members}).encode()
    stamp = str(int(at or time.time()))
    host, content_type = f"{simulator.host}:{simulator.port}", "application/json; charset=utf-8"
    headers = {
        "host": host,
        "content-type": content_type,
        "x-tc-action": action,
        "x-tc-timestamp": stamp,
        "x-tc-version": "2021-01-11",
        "authorization": tc3_authorization(key, secret, "sms", host, action, stamp, body),
    }
    return simulator.http.post("/", content=body, headers=headers)


def tc3_authorization(key: str, secret: str, service: str, host: str, action: str, stamp: str, body: bytes) -> str:
    """`action` empty: only content-type and host are signed."""
    names = "content-type;host" + (";x-tc-action" if action else "")
    lines = f"content-type:application/json; charset=utf-8\nhost:{host}\n"
    lines += f"x-tc-action:{action.lower()}\n" if action else ""
    request = f"POST\n/\n\n{lines}\n{names}\n{sha256(body).hexdigest()}"
    date = datetime.fromtimestamp(int(stamp), UTC).strftime("%Y-%m-%d")
    scope = f"{date}/{service}/tc3_request"
    to_sign = f"TC3-HMAC-SHA256\n{stamp}\n{scope}\n{sha256(request.encode()).hexdigest()}"
    derived = f"TC3{secret}".encode()
    for step in (date, service, "tc3_request"):
        derived = hmac.new(derived, step.encode(), sha256).digest()
    signature = hmac.new(derived, to_sign.encode(), sha256).hexdigest()
    return f"TC3-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, Signature={signature}"


def webhook(
    simulator: Simulator,
    *,
    secret: str = DEMO["webhook"].secret,
    account: str = DEMO["webhook"].id,
    at: float | None = None,
    **members: object,
) -> httpx.Response:
    body = json.dumps({"type": "message.send", "to": ABROAD, "text": TEXT, "code": "345678", **members}).encode()
    stamp = str(int(at or time.time()))
    headers = {"webhook-id": "msg_1", "webhook-timestamp": stamp, "content-type": "application/json"}
    headers["webhook-signature"] = "v1,AAAA " + standard_signature(secret, "msg_1", stamp, body)
    return simulator.http.post(f"/webhook/{account}", content=body, headers=headers)


def standard_signature(secret: str, message_id: str, stamp: str, body: bytes) -> str:
    key = b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{stamp}.".encode() + body
    return "v1," + b64encode(hmac.new(key, signed, sha256).digest()).decode()


@dataclass
class Pushed:
    """One request that a receiver was sent."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """A receiver of pushed reports."""

    url: str
    pushed: list[Pushed] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    """What it answers, in turn; then 200."""
    came: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def next(self) -> Pushed:
        assert self.came.acquire(timeout=10), "no report was pushed"
        return self.pushed[-1]


@contextmanager
def a_receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.pushed.append(Pushed(self.path, headers, body))
            self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
            self.send_header("content-length", "0")
            self.end_headers()
            receiver.came.release()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
