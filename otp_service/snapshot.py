"""From a row of the store to what a caller sees, or to the problem that a caller meets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from otp_service.errors import (
    AlreadyApproved,
    Canceled,
    Ended,
    Exhausted,
    Expired,
    Problem,
    RateLimited,
    RecipientDisabled,
)
from otp_service.keyring import Keyring
from otp_service.ports import Disabled, Refused, Row
from otp_service.verification import Delivery, Status, Try, Verification

_STATUS = {one.value: one for one in Status}
_DELIVERY = {one.value: one for one in Delivery}
"""To ask an enum for its member takes three times as long."""

_ENDS: dict[Status, tuple[type[Ended], str]] = {
    Status.APPROVED: (AlreadyApproved, "The code was accepted before; a code is good for one approval."),
    Status.EXHAUSTED: (Exhausted, "All attempts are used; start a new verification."),
    Status.EXPIRED: (Expired, "The time is over; start a new verification."),
    Status.CANCELED: (Canceled, "This verification was canceled; start a new one."),
}


def verification(keyring: Keyring, id: str, row: Row, tries: Sequence[Mapping[str, Any]] = ()) -> Verification:
    """Raises SealBroken when the secret key of this record is no longer configured."""
    metadata = row.metadata and keyring.unseal(row.kid, id, "metadata", row.metadata)
    return Verification(
        id=id,
        status=_STATUS[row.status],
        delivery=_DELIVERY[row.delivery],
        to=keyring.unseal(row.kid, id, "mask", row.mask),
        purpose=row.purpose,
        now=row.now,
        created_at=row.created,
        expires_at=row.expires,
        resend_at=row.resend,
        code_length=row.code_length,
        attempts_left=row.max_attempts - row.attempts,
        sends=row.sends,
        max_sends=row.max_sends,
        test=row.test,
        metadata=json.loads(metadata) if metadata else None,
        tries=tuple(map(tried, tries)),
    )


@contextmanager
def about(keyring: Keyring, id: str, row: Row) -> Iterator[None]:
    """Whatever is refused within is about this verification, and carries it."""
    try:
        yield
    except Problem as refused:
        if refused.verification is None:
            refused.verification = verification(keyring, id, row)
        raise


def ended(seen: Verification) -> Ended:
    """The problem of a verification that is over; one with under a minute to live counts as expired."""
    problem, detail = _ENDS.get(seen.status, _ENDS[Status.EXPIRED])
    return problem(detail, verification=seen)


def rate_limited(keyring: Keyring, id: str, refused: Refused) -> RateLimited:
    seconds = max(-(-refused.wait // 1000), 1)
    return RateLimited(
        f"The limit `{refused.limit}` is full; try again in {seconds} s.",
        limit=refused.limit,
        retry_after=seconds,
        verification=verification(keyring, id, refused.row) if refused.row else None,
    )


def disabled(keyring: Keyring, id: str, refused: Disabled) -> RecipientDisabled:
    return RecipientDisabled(
        "Too many wrong codes in a row were given for this number; once you are sure of the person, lift it by "
        "POST /v1/recipients/enable.",
        verification=verification(keyring, id, refused.row) if refused.row else None,
    )


def tried(said: Mapping[str, Any]) -> Try:
    return Try(
        send=said["send"],
        channel=said["channel"],
        outcome=said.get("outcome"),
        reason=said.get("reason") or None,
        detail=said.get("detail", ""),
        gateway_id=said.get("gateway_id", ""),
        at=int(said["at"]),
        took_ms=said.get("took_ms"),
        report=said.get("report"),
        report_words=said.get("report_words", ""),
    )
