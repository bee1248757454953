"""Gateways that hold the texts themselves: which of their templates a message takes, and what is filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping

from otp_service.ports import Message, Outcome, Reason, TryResult

_VALUE = re.compile(r"\{\{\s*(code|minutes)\s*\}\}")


def template_of(templates: Mapping[str, str], message: Message) -> str:
    """By `purpose/locale`, else by `purpose`; "" when there is none."""
    return templates.get(f"{message.purpose}/{message.locale}") or templates.get(message.purpose, "")


def fill(pattern: str, message: Message) -> str:
    """`pattern` with the values of `{{ code }}` and `{{ minutes }}`."""
    values = {"code": message.code, "minutes": str(message.minutes)}
    return _VALUE.sub(lambda found: values[found[1]], pattern)


def not_to_fill(template: str, message: Message) -> TryResult | None:
    """Why the message can't be sent by a template: an SMS without its code would go out in good order."""
    if not template:
        return TryResult(Outcome.REJECTED, Reason.CONFIG, f"no template for the purpose {message.purpose or '(none)'}")
    if not message.code:
        return TryResult(Outcome.REJECTED, Reason.CONTENT, "the message has no code to fill in")
    return None
