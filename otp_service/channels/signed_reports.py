"""Reports that are sent to us signed as Standard Webhooks: for every channel whose operator can sign.

{"reports": [{"gateway_id": "…", "status": "delivered" | "undelivered" | "pending", "detail"?: "…", "to"?: "+…"}]}
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from otp_service.channels.words import gateway_words
from otp_service.ports import Push, PushRefused, Report
from otp_service.webhook_signature import BadSignature, verify

MAX_REPORTS = 1000
_STATUSES: dict[str, bool | None] = {"delivered": True, "undelivered": False, "pending": None}
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_LONGEST_ID = 100


def read_signed_reports(push: Push, secrets: Sequence[str], now: float) -> Sequence[Report]:
    """`secrets` are `whsec_…`; without any nothing is genuine. Raises `PushRefused`, which says what to mend.

    One row that can't be read refuses the whole push: its sender is the operator's own program, and sees why.
    A genuine push that comes twice gives the same reports twice.
    """
    try:
        verify(secrets, push.headers, push.body, now)
    except BadSignature as error:
        raise PushRefused(str(error)) from error
    rows = _rows(push.body)
    if not 1 <= len(rows) <= MAX_REPORTS:
        raise PushRefused(f"reports must hold 1 to {MAX_REPORTS} items")
    return [_report(row, f"reports[{index}]") for index, row in enumerate(rows)]


def _rows(body: bytes) -> list[Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise PushRefused("the body is not JSON") from None
    rows = document.get("reports") if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise PushRefused('the body is not {"reports": [...]}')
    return rows


def _report(row: Any, where: str) -> Report:
    if not isinstance(row, dict):
        raise PushRefused(f"{where} is not an object")
    gateway_id, status = row.get("gateway_id"), row.get("status")
    detail, to = row.get("detail") or "", row.get("to") or ""
    if not (isinstance(gateway_id, str) and 0 < len(gateway_id) <= _LONGEST_ID):
        raise PushRefused(f"{where}.gateway_id must be text of 1 to {_LONGEST_ID} characters")
    if not (isinstance(status, str) and status in _STATUSES):
        raise PushRefused(f"{where}.status must be one of: {', '.join(_STATUSES)}")
    if not isinstance(detail, str):
        raise PushRefused(f"{where}.detail must be text")
    if not (isinstance(to, str) and (not to or _E164.fullmatch(to))):
        raise PushRefused(f"{where}.to must be a number in E.164")
    return Report(gateway_id, to, _STATUSES[status], gateway_words(detail))
