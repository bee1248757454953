"""From a script's reply to a `Row`. The order is that of `snapshot` in `lua/verifications.lua`."""

from __future__ import annotations

from typing import Any

from otp_service.ports import Approval, Bucket, Guarded, Missing, Row

Reply = list[Any]


def text(value: bytes) -> str:
    return value.decode()


def latest_of(scope: bytes | None) -> str:
    """The latest id that a scope names, "" for none: the last of its words."""
    return text((scope or b"").rpartition(b" ")[2])


def buckets(charged: str) -> tuple[Bucket, ...]:
    """From how a record keeps them: `client_ip:… country:CN`."""
    return tuple(Bucket(*one.split(":", 1)) for one in charged.split())


def row(reply: Reply, guard: Guarded | Approval | None = None) -> Row:
    """Raises Missing for the reply of a script that found no such record."""
    if reply[0] == b"missing":
        raise Missing
    result, now, fields = reply[:3]
    (status, delivery, attempts, sends, resend, purpose, created, expires, code_length, max_attempts) = fields[:10]
    (promised, kid, mask, metadata, test, approved, token) = fields[10:]
    max_sends, token_ttl, bound_to = promised.decode().split(" ")
    # In the order of `Row`: names would take as long as all the rest.
    return Row(
        result.decode(),
        int(now),
        status.decode(),
        delivery.decode(),
        int(attempts),
        int(sends),
        int(resend),
        purpose.decode(),
        int(created),
        int(expires),
        int(code_length),
        int(max_attempts),
        int(max_sends),
        kid.decode(),
        mask,
        metadata,
        test == b"1",
        int(token_ttl),
        int(approved) if approved else None,
        token.decode() if token else None,
        bound_to,
        guard,
    )
