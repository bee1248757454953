"""The calls of the API: plain functions from a request to a response, free of any framework.

Whoever serves them has found the path and the method, and knows the client by its key. Each raises a `Problem` for
what it refuses, in this order: media type and size, JSON, fields, then whatever the verifier judges.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from otp_service import metrics
from otp_service.calls import Asking, Checked, Idempotency, Started
from otp_service.errors import FieldError, InvalidRequest, Problem
from otp_service.policy import Client
from otp_service.web import answers, json_body
from otp_service.web.exchange import Request, Response, json_response
from otp_service.web.preferences import waiting
from otp_service.web.schemas import (
    CheckBody,
    CheckByRecipientBody,
    EnableBody,
    LookupBody,
    ResendBody,
    StartBody,
    TokenBody,
)

if TYPE_CHECKING:
    from otp_service.verifier import Verifier

_IDEMPOTENCY_KEY = re.compile(r"[ -~]{1,255}")
_REPLAYED = ("Idempotent-Replayed", "true")


def start(verifier: Verifier, client: Client, request: Request) -> Response:
    body = json_body.read(request)
    asked = StartBody.read(json_body.parse(body))
    with waiting(request.prefer) as seconds:
        starting = asked.request(Asking(request.request_id, seconds))
        started = verifier.start(client, starting, _idempotency(request, body))
    headers = _sent(started, seconds)
    if started.created:
        headers += (("Location", f"/v1/verifications/{started.verification.id}"),)
    return json_response(201 if started.created else 200, _shown(started), *headers)


def get(verifier: Verifier, client: Client, request: Request) -> Response:
    found = verifier.get(client, request.verification_id)
    return json_response(200, answers.full_verification_json(found))


def resend(verifier: Verifier, client: Client, request: Request) -> Response:
    body = json_body.read_optional(request)
    asked = ResendBody.read(json_body.parse(body))
    with waiting(request.prefer) as seconds:
        resending = asked.request(Asking(request.request_id, seconds))
        sent = verifier.resend(client, request.verification_id, resending, _idempotency(request, body))
    return json_response(200, _shown(sent), *_sent(sent, seconds))


def lookup(verifier: Verifier, client: Client, request: Request) -> Response:
    body = json_body.read(request)
    asked = LookupBody.read(json_body.parse(body))
    found = verifier.lookup(client, asked.to, _idempotency(request, body))
    return json_response(200, answers.lookup_json(found))


def enable(verifier: Verifier, client: Client, request: Request) -> Response:
    body = json_body.read(request)
    asked = EnableBody.read(json_body.parse(body))
    enabled = verifier.enable(client, asked.to, _idempotency(request, body))
    document: answers.EnabledJson = {"to": enabled.to, "enabled": True}
    return json_response(200, document, *_replayed(enabled.replayed))


def check(verifier: Verifier, client: Client, request: Request) -> Response:
    body = json_body.read(request)
    asked = CheckBody.read(json_body.parse(body)).request()
    idempotency = _idempotency(request, body)
    return _checked(lambda: verifier.check(client, request.verification_id, asked, idempotency))


def check_by_recipient(verifier: Verifier, client: Client, request: Request) -> Response:
    body = json_body.read(request)
    asked = CheckByRecipientBody.read(json_body.parse(body)).request()
    idempotency = _idempotency(request, body)
    return _checked(lambda: verifier.check_by_recipient(client, asked, idempotency))


def cancel(verifier: Verifier, client: Client, request: Request) -> Response:
    canceled = verifier.cancel(client, request.verification_id)
    return json_response(200, answers.verification_json(canceled))


def verify_token(verifier: Verifier, client: Client, request: Request) -> Response:
    body = json_body.read(request)
    asked = TokenBody.read(json_body.parse(body)).request()
    facts = verifier.verify_token(client, asked, _idempotency(request, body))
    return json_response(200, answers.token_json(facts), *_replayed(facts.replayed))


def _checked(check: Callable[[], Checked]) -> Response:
    try:
        checked = check()
    except Problem as refused:
        if not refused.replayed:
            metrics.count_check(refused.verification, refused.name)
        raise
    if not checked.replayed:
        metrics.count_check(checked.verification, "approved")
    document = answers.checked_json(checked.verification, checked.token)
    return json_response(200, document, *_replayed(checked.replayed))


def _shown(started: Started) -> Any:
    return answers.verification_json(started.verification)


def _sent(started: Started, waited: int) -> tuple[tuple[str, str], ...]:
    applied = (("Preference-Applied", f"wait={waited}"),) if waited and not started.replayed else ()
    return (*_replayed(started.replayed), *applied)


def _replayed(replayed: bool) -> tuple[tuple[str, str], ...]:
    return (_REPLAYED,) if replayed else ()


def _idempotency(request: Request, body: bytes) -> Idempotency | None:
    key = request.idempotency_key
    if key is None:
        return None
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        detail = "The header Idempotency-Key must be 1 to 255 printable ASCII characters."
        raise InvalidRequest(detail, errors=[FieldError("", detail)])
    return Idempotency(key, request.path, body)
