"""Signatures of Standard Webhooks: read by the reference library, and nothing but the genuine is taken for it."""

from __future__ import annotations

import base64
import datetime
import secrets
import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from otp_service.webhook_signature import BadSignature, decode_secret, sign, verify

# The example of the specification's own documents and libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, AT, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def new_secret(size: int = 32) -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(size)).decode()}"


def test_a_signature_is_that_of_the_published_example() -> None:
    assert sign([SECRET], ID, AT, BODY) == {
        "webhook-id": ID,
        "webhook-timestamp": str(AT),
        "webhook-signature": SIGNATURE,
    }


@pytest.mark.parametrize("body", [b"", b"{}", '{"text": "验证码 🔑"}'.encode(), b"a.b.c\n"])
def test_the_reference_library_takes_what_we_sign(body: bytes) -> None:
    secret = new_secret()
    Webhook(secret).verify(body, sign([secret], "m1", int(time.time()), body), json_parse=False)


def test_we_take_what_the_reference_library_signs() -> None:
    secret = new_secret()
    signature = Webhook(secret).sign("m1", datetime.datetime.fromtimestamp(AT, datetime.UTC), BODY.decode())
    headers = {"Webhook-Id": "m1", "Webhook-Timestamp": str(AT), "Webhook-Signature": signature}
    assert verify([secret], headers, BODY, AT) == "m1"


def test_while_secrets_change_either_side_may_know_only_one() -> None:
    """T64."""
    old, new = new_secret(), new_secret()
    both = sign([new, old], "m1", int(time.time()), BODY)
    assert both["webhook-signature"].count("v1,") == 2
    for known in (old, new):
        Webhook(known).verify(BODY, both)
        assert verify([known], both, BODY, time.time()) == "m1"
        assert verify([old, new], sign([known], "m1", AT, BODY), BODY, AT) == "m1"
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(BODY, both)


GENUINE = sign([SECRET], ID, AT, BODY)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "msg_other"},
        {"webhook-id": ""},
        {"webhook-id": f"{ID}.1"},
        {"webhook-timestamp": str(AT + 1)},
        {"webhook-timestamp": f" {AT}"},
        {"webhook-timestamp": f"{AT}.0"},
        {"webhook-timestamp": "１６１４２６５３３０"},
        {"webhook-signature": ""},
        {"webhook-signature": SIGNATURE.replace("v1,", "v1a,")},
        {"webhook-signature": SIGNATURE.removeprefix("v1,")},
        {"webhook-signature": SIGNATURE[:-1]},
        {"webhook-signature": "v1,é"},
        {"webhook-signature": "v1, " * 20 + SIGNATURE},
    ],
)
def test_a_request_that_was_changed_is_refused(change: dict[str, str]) -> None:
    """T64."""
    assert verify([SECRET], GENUINE, BODY, AT) == ID
    with pytest.raises(BadSignature):
        verify([SECRET], {**GENUINE, **change}, BODY, AT)


def test_another_body_or_secret_or_no_secret_is_refused() -> None:
    """T64."""
    for known, body in (([SECRET], BODY + b" "), ([new_secret()], BODY), ([], BODY)):
        with pytest.raises(BadSignature, match="signature"):
            verify(known, GENUINE, body, AT)


@pytest.mark.parametrize("late", [-301, 301])
def test_a_request_five_minutes_from_our_clock_is_stale(late: int) -> None:
    """T64."""
    assert verify([SECRET], GENUINE, BODY, AT + late // 301 * 300) == ID
    with pytest.raises(BadSignature, match="300 seconds"):
        verify([SECRET], GENUINE, BODY, AT + late)


@pytest.mark.parametrize("id", ["", "a.b", "a b", "a\nb", "a" * 257, "é"])
def test_an_id_that_could_be_read_in_two_ways_is_not_signed(id: str) -> None:
    with pytest.raises(ValueError, match="id"):
        sign([SECRET], id, AT, BODY)


def test_nothing_is_signed_without_a_secret() -> None:
    with pytest.raises(ValueError, match="secret"):
        sign([], "m1", AT, BODY)


@pytest.mark.parametrize(
    "secret", ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_***", "whsec_hunter2", f"whsec_{'A' * 88}"]
)
def test_a_secret_is_24_to_64_bytes_and_never_repeated(secret: str) -> None:
    with pytest.raises(ValueError, match=r"whsec_|bytes") as caught:
        decode_secret(secret)
    assert "hunter2" not in str(caught.value)
    assert len(decode_secret(new_secret(24))) == 24
