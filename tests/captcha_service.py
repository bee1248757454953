"""A CAPTCHA service on this machine that speaks all four dialects and takes each token once, as the real ones do."""

from __future__ import annotations

import hmac
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from otp_service.webhook_signature import BadSignature, verify

SECRET = "0x4AAAAAAAsecret-of-the-site-91bc"
OWN_SECRET = "whsec_" + "W81ccWFJeKF3MtM3S/DIP3aOlhqv57mGHj07KfRuETg="
SITE_KEY = "site-key-of-the-page"
HOSTNAME = "www.example.com"


class CaptchaService:
    """`good` are the tokens (GeeTest: lot numbers) that somebody solved; one that is asked for is used up."""

    def __init__(self) -> None:
        self.good: set[str] = set()
        self.asked: list[Mapping[str, Any]] = []
        self._one = threading.Lock()
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body are two writes; with Nagle's algorithm the second waits for the client's acknowledgement.
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, document = service.answer(self.path, dict(self.headers), body)
                answer = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.send_header("Set-Cookie", "person=1; Path=/")
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> CaptchaService:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, target: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, Any]]:
        parts = urlsplit(target)
        if parts.path == "/own":
            return self._own(headers, body)
        form = {**dict(parse_qsl(parts.query)), **dict(parse_qsl(body.decode()))}
        self.asked.append({**form, "cookie": headers.get("Cookie", "")})
        return 200, self._geetest(form) if parts.path == "/geetest" else self._siteverify(form)

    def _own(self, headers: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, Any]]:
        try:
            verify([OWN_SECRET], headers, body, time.time())
        except BadSignature:
            return 401, {"success": False}
        asked = json.loads(body)
        self.asked.append(asked)
        return 200, {"success": self._take(asked["token"])}

    def _siteverify(self, form: Mapping[str, str]) -> Mapping[str, Any]:
        if form.get("secret") != SECRET:
            return {"success": False, "error-codes": ["invalid-input-secret"]}
        if not self._take(form["response"]):
            return {"success": False, "error-codes": ["timeout-or-duplicate"]}
        return {"success": True, "hostname": HOSTNAME, "action": "login", "error-codes": []}

    def _geetest(self, form: Mapping[str, str]) -> Mapping[str, Any]:
        signed = hmac.digest(SECRET.encode(), form["lot_number"].encode(), "sha256").hex()
        if form.get("captcha_id") != SITE_KEY or form["sign_token"] != signed:
            return {"status": "error", "code": "-50002", "msg": "illegal captcha_id"}
        good = self._take(form["lot_number"])
        return {"status": "success", "result": "success" if good else "fail", "reason": ""}

    def _take(self, token: str) -> bool:
        with self._one:
            if token not in self.good:
                return False
            self.good.remove(token)
            return True


@contextmanager
def serving() -> Iterator[CaptchaService]:
    with CaptchaService() as service:
        yield service
