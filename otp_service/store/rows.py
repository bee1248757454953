"""From a script's reply to a `Row`. The order is that of FIELDS in `lua/common.lua`."""

from __future__ import annotations

from typing import Any

from otp_service.ports import Bucket, Missing, Row

Reply = list[Any]


def text(value: bytes) -> str:
    return value.decode()


def buckets(charged: str) -> tuple[Bucket, ...]:
    """From how a record keeps them: `client_ip:… country:CN`."""
    return tuple(Bucket(*one.split(":", 1)) for one in charged.split())


def row(reply: Reply) -> Row:
    """Raises Missing for the reply of a script that found no such record."""
    if reply[0] == b"missing":
        raise Missing
    result, now, fields = reply[:3]
    (status, delivery, attempts, sends, resend, purpose, created, expires, code_length, max_attempts) = fields[:10]
    (max_sends, kid, mask, metadata, test, token_ttl, approved, token, bound_to) = fields[10:]
    return Row(
        result=text(result),
        now=int(now),
        status=text(status),
        delivery=text(delivery),
        attempts=int(attempts),
        sends=int(sends),
        resend=int(resend),
        purpose=text(purpose),
        created=int(created),
        expires=int(expires),
        code_length=int(code_length),
        max_attempts=int(max_attempts),
        max_sends=int(max_sends),
        kid=text(kid),
        mask=mask,
        metadata=metadata,
        test=test == b"1",
        token_ttl=int(token_ttl),
        approved=int(approved) if approved else None,
        token=text(token) if token else None,
        bound_to=text(bound_to),
    )
