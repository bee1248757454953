"""Reports that a gateway of the family pushes: the rows of its queries, from whoever proves to know the secret.

There is no signature in the documents of the family, so three proofs are taken: Standard Webhooks (the only one that
tells an old push from a new one), Basic with the secret as its password, and Bearer.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence

from otp_service.channels.sms_aspx.boxes import MAX_ROWS, STATUSES, read_rows, report
from otp_service.channels.sms_aspx.leaves import UnreadableError
from otp_service.ports import ChannelError, Push, PushRefused, Report
from otp_service.webhook_signature import BadSignature, verify


def read_family_push(push: Push, secret: str, now: float) -> Sequence[Report]:
    """Without a secret nothing is genuine. Raises `PushRefused`. One that comes twice gives its rows twice."""
    if not secret:
        raise PushRefused("this channel has no report_secret")
    _check(push, secret, now)
    try:
        rows = read_rows(push.body, STATUSES)
    except (UnreadableError, ChannelError) as error:
        raise PushRefused(str(error)) from None
    if len(rows) > MAX_ROWS:
        raise PushRefused(f"more than {MAX_ROWS} rows")
    return [found for row in rows if (found := report(row))]


def _check(push: Push, secret: str, now: float) -> None:
    if "webhook-signature" in push.headers:
        try:
            verify([secret], push.headers, push.body, now)
        except ValueError:
            raise PushRefused("it is signed, and this channel's report_secret is no whsec_… to check it by") from None
        except BadSignature as error:
            raise PushRefused(str(error)) from None
        return
    scheme, _, given = push.headers.get("authorization", "").partition(" ")
    # Compared whatever the scheme: how long this takes tells nothing.
    word = _password(given) if scheme.lower() == "basic" else given.strip()
    same = hmac.compare_digest(word.encode("utf-8", "replace"), secret.encode())
    if not same or scheme.lower() not in ("basic", "bearer"):
        raise PushRefused("it bears no signature, and no Basic or Bearer that is report_secret")


def _password(given: str) -> str:
    try:
        user, colon, password = base64.b64decode(given.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return ""
    return password if colon else user
