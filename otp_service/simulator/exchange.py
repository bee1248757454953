"""A request and its answer as they crossed the wire, for people to read: passwords masked, length bounded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_plus

from otp_service.simulator.forms import Form
from otp_service.simulator.wire import Reply, Request, Response

MAX_KEPT = 16 << 10
"""Bytes of a body that are kept and shown."""
_MAX_FIELD = 500
"""Characters of a field that are kept when the request is longer than that."""
MASK = "•••"
_SECRET = frozenset({"password", "sign", "sig", "token", "api_secret"})
_SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})
_PART = re.compile(
    r'(name="?(?:password|sign|sig|token)"?[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n)(.*?)(?=\r\n--|\Z)',
    re.IGNORECASE | re.DOTALL,
)
_IN_JSON = re.compile(r'("api_secret"\s*:\s*")[^"]*')


@dataclass(frozen=True, slots=True)
class Exchange:
    """Kept with a message or a refusal; turned into text only when somebody looks."""

    request: Request
    form: Form
    answer: Reply | bytes

    @classmethod
    def of(cls, request: Request, form: Form, reply: Reply) -> Exchange:
        answer: Reply | bytes = reply
        if isinstance(reply, Response) and len(reply.body) > MAX_KEPT:
            answer = reply.shown()[:MAX_KEPT] + b"\r\n[cut here]"
        if len(request.body) + len(request.target) > MAX_KEPT:
            request = Request(request.method, request.target[:MAX_KEPT], request.headers, request.body[:MAX_KEPT])
            form = Form({name: value[:_MAX_FIELD] for name, value in form.fields.items()}, form.undecodable)
        return cls(request, form, answer)

    def as_json(self) -> dict[str, object]:
        fields = {name: MASK if name in _SECRET else value for name, value in self.form.fields.items()}
        answer = self.answer if isinstance(self.answer, bytes) else self.answer.shown()
        return {"raw_request": self._request(), "raw_answer": _readable(answer), "fields": fields}

    def _request(self) -> str:
        asked = self.request
        path, mark, query = asked.target.decode("latin-1").partition("?")
        lines = [f"{asked.method} {path}{mark}{_masked_pairs(query)} HTTP/1.1"]
        for key, value in asked.headers:
            name = key.decode("latin-1")
            lines.append(f"{name}: {MASK if name in _SECRET_HEADERS else value.decode('latin-1')}")
        body = _readable(asked.body)
        multipart = asked.header(b"content-type").lower().startswith("multipart/")
        masked = _PART.sub(rf"\1{MASK}", body) if multipart else _IN_JSON.sub(rf"\1{MASK}", _masked_pairs(body))
        return "\r\n".join([*lines, "", masked])


def _masked_pairs(text: str) -> str:
    pieces = []
    for piece in text.split("&"):
        name, mark, _ = piece.partition("=")
        secret = mark and unquote_plus(name).strip().lower() in _SECRET
        pieces.append(f"{name}={MASK}" if secret else piece)
    return "&".join(pieces)


def _readable(body: bytes) -> str:
    kept = body[:MAX_KEPT]
    try:
        text = kept.decode("utf-8")
    except UnicodeDecodeError:
        text = kept.decode("gb18030", "replace")
    return text if len(body) <= MAX_KEPT else f"{text}\r\n[{len(body) - MAX_KEPT} bytes more]"
