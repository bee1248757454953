"""Each call, from its body to the verifier and back: exact fields, exact headers."""

from __future__ import annotations

from contextlib import ExitStack
from inspect import signature

import pytest
from fake_verifier import APPROVED, PENDING, FakeVerifier

from otp_service.calls import CheckRequest, Idempotency, ResendRequest, StartRequest, TokenRequest
from otp_service.verifier import Verifier
from otp_service.web.preferences import MOST_WAITING, waiting

NUMBER = "+8613800138000"
VERIFICATION = {
    "id": "ver_1",
    "status": "pending",
    "delivery": "queued",
    "to": "+86138****8000",
    "purpose": "login",
    "created_at": "2026-03-01T08:30:00.123Z",
    "expires_at": "2026-03-01T08:35:00.123Z",
    "expires_in": 300,
    "code_length": 6,
    "attempts_left": 5,
    "sends": 1,
    "sends_left": 3,
    "resend_at": "2026-03-01T08:30:59.124Z",
    "resend_in": 60,
    "tries": [],
}
ENDED = {"expires_in": 0, "sends_left": 0}
TRY = {
    "send": 1,
    "channel": "primary",
    "outcome": "accepted",
    "reason": None,
    "detail": "ok",
    "gateway_id": "m-1",
    "at": "2026-03-01T08:30:00.123Z",
    "took_ms": 41,
    "report": "delivered",
}


@pytest.mark.parametrize("name", [name for name in vars(FakeVerifier) if not name.startswith("_")])
def test_the_fake_verifier_takes_what_the_real_one_takes(name):
    if callable(getattr(FakeVerifier, name)):
        fake, real = (signature(getattr(kind, name)).parameters for kind in (FakeVerifier, Verifier))
        assert list(fake) == list(real)


def test_a_start_answers_201_with_the_verification_and_where_it_is(api):
    answer = api.post("/v1/verifications", {"to": NUMBER, "purpose": "login"})
    assert answer.status_code == 201
    assert answer.headers["Location"] == "/v1/verifications/ver_1"
    assert answer.content_type == "application/json"
    assert answer.json == VERIFICATION


def test_a_start_that_sent_again_answers_200_without_a_location(api):
    api.verifier.created = False
    answer = api.post("/v1/verifications", {"to": NUMBER, "purpose": "login"})
    assert answer.status_code == 200
    assert "Location" not in answer.headers


def test_every_field_of_a_start_reaches_the_verifier(api):
    body = {
        "to": NUMBER,
        "purpose": "login",
        "session": "s",
        "device": "d",
        "context": {"amount": "9.90"},
        "locale": "zh-CN",
        "channel": "primary",
        "client_ip": "203.0.113.7",
        "deliver": False,
        "metadata": {"order": "7"},
    }
    api.post("/v1/verifications", body)
    [(call, client, asked, idempotency)] = api.verifier.asked
    assert (call, client.name, idempotency) == ("start", "shop", None)
    assert asked == StartRequest(**body)


def test_a_field_given_as_null_is_a_field_not_given(api):
    names = ("session", "device", "context", "locale", "channel", "client_ip", "deliver", "metadata")
    api.post("/v1/verifications", {"to": NUMBER, "purpose": "login"} | dict.fromkeys(names))
    assert api.verifier.asked[0][2] == StartRequest(to=NUMBER, purpose="login")


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("::FFFF:cb00:7107", "203.0.113.7"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
    ],
)
def test_an_address_is_made_canonical_so_that_no_spelling_has_its_own_allowance(api, given, canonical):
    api.post("/v1/verifications", {"to": NUMBER, "purpose": "login", "client_ip": given})
    assert api.verifier.asked[0][2].client_ip == canonical


def test_t55_no_header_stands_in_for_client_ip(api):
    headers = dict.fromkeys(("X_Forwarded_For", "X_Real_IP", "Forwarded", "CF_Connecting_IP"), "198.51.100.1")
    api.post("/v1/verifications", {"to": NUMBER, "purpose": "login"}, **headers)
    assert api.verifier.asked[0][2].client_ip is None


def test_reading_shows_every_try_and_the_metadata(api):
    api.verifier.shown = PENDING._replace(metadata={"order": "7"})
    answer = api.call("GET", "/v1/verifications/ver_1")
    assert answer.status_code == 200
    assert answer.json == VERIFICATION | {"tries": [TRY], "metadata": {"order": "7"}}
    assert api.verifier.asked[0][2] == "ver_1"


def test_only_reading_and_checking_show_metadata(api):
    api.verifier.shown = PENDING._replace(metadata={"order": "7"})
    assert "metadata" not in api.post("/v1/verifications", {"to": NUMBER, "purpose": "login"}).json
    assert "metadata" not in api.post("/v1/verifications/ver_1/resend").json
    assert "metadata" not in api.call("DELETE", "/v1/verifications/ver_1").json
    assert api.post("/v1/verifications/ver_1/check", {"code": "345678"}).json["metadata"] == {"order": "7"}


def test_every_answer_about_a_test_number_says_so(api):
    api.verifier.shown = PENDING._replace(test=True)
    assert api.post("/v1/verifications", {"to": NUMBER, "purpose": "login"}).json["test"] is True
    assert api.call("GET", "/v1/verifications/ver_1").json["test"] is True
    assert api.post("/v1/verifications/ver_1/check", {"code": "345678"}).json["test"] is True


def test_a_resend_takes_a_channel_or_nothing_at_all(api):
    assert api.post("/v1/verifications/ver_1/resend", {"channel": "b", "exclude_last": True}).json == VERIFICATION
    bare = api.http.post("/v1/verifications/ver_1/resend", headers={"Authorization": f"Bearer {api.key}"})
    assert bare.status_code == 200
    assert [asked[3] for asked in api.verifier.asked] == [ResendRequest("b", True), ResendRequest()]


def test_a_check_answers_with_the_approved_verification_and_its_token(api):
    answer = api.post("/v1/verifications/ver_1/check", {"code": "345678", "session": "s", "context": {"a": "b"}})
    assert answer.status_code == 200
    assert answer.json == VERIFICATION | ENDED | {"status": "approved", "token": "a.b.c"}
    assert api.verifier.asked[0][2:4] == ("ver_1", CheckRequest(code="345678", session="s", context={"a": "b"}))


def test_a_check_by_recipient_needs_the_recipient_and_the_purpose(api):
    answer = api.post("/v1/verifications/check", {"code": "345678", "to": NUMBER, "purpose": "login"})
    assert answer.json["token"] == "a.b.c"
    assert api.verifier.asked[0][2] == CheckRequest(code="345678", to=NUMBER, purpose="login")
    missing = api.post("/v1/verifications/check", {"code": "345678"})
    assert {error["pointer"] for error in missing.json["errors"]} == {"/to", "/purpose"}


def test_cancel_answers_with_the_ended_verification(api):
    answer = api.call("DELETE", "/v1/verifications/ver_1")
    assert answer.json == VERIFICATION | ENDED | {"status": "canceled"}


def test_a_token_check_says_what_the_token_proves(api):
    api.verifier.shown = APPROVED._replace(metadata={"order": "7"})
    body = {"token": "a.b.c", "purpose": "login", "to": NUMBER, "session": "s", "consume": True}
    answer = api.post("/v1/tokens/verify", body)
    assert answer.json == {
        "valid": True,
        "verification_id": "ver_1",
        "purpose": "login",
        "approved_at": "2026-03-01T08:30:00.123Z",
        "expires_at": "2026-03-01T08:40:00.123Z",
        "metadata": {"order": "7"},
    }
    assert api.verifier.asked[0][2] == TokenRequest(**body)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/verifications", b'{"to": "+8613800138000", "purpose": "login"}'),
        ("/v1/verifications/ver_1/resend", b"{ }"),
        ("/v1/verifications/ver_1/check", b'{"code":"345678"}'),
        ("/v1/verifications/check", b'{"code":"345678","to":"+8613800138000","purpose":"login"}'),
        ("/v1/tokens/verify", b'{"token":"t","purpose":"login","to":"+8613800138000"}'),
    ],
)
def test_an_idempotency_key_travels_with_path_and_body_and_a_replay_is_marked(api, path, body):
    assert "Idempotent-Replayed" not in api.call("POST", path, body, Idempotency_Key="k 1").headers
    api.verifier.replayed = True
    assert api.call("POST", path, body, Idempotency_Key="k 1").headers["Idempotent-Replayed"] == "true"
    assert api.verifier.asked[0][-1] == Idempotency("k 1", path, body)


def test_t33_a_start_for_an_unknown_account_has_the_answer_of_a_known_one(api):
    known = api.post("/v1/verifications", {"to": NUMBER, "purpose": "login", "deliver": True})
    unknown = api.post("/v1/verifications", {"to": NUMBER, "purpose": "login", "deliver": False})
    assert known.data == unknown.data
    assert known.status == unknown.status
    assert set(known.headers.keys()) == set(unknown.headers.keys())


def test_what_is_not_there_yet_is_not_found(api):
    for path in ("/v1/verifications/", "/v1", "/v1/", "/v1/nothing", "//v1/verifications", "/v1/recipients"):
        assert api.post(path).status_code == 404, path


def test_another_method_is_answered_with_those_that_the_address_takes(api):
    answer = api.call("PUT", "/v1/verifications/ver_1")
    assert answer.status_code == 405
    assert answer.json["problem"] == "method_not_allowed"
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "DELETE", "OPTIONS"}
    assert api.call("GET", "/v1/verifications/check").status_code == 405


def test_head_has_the_headers_of_get_and_no_body(api):
    answer = api.call("HEAD", "/v1/verifications/ver_1")
    assert (answer.status_code, answer.data) == (200, b"")
    assert int(answer.headers["Content-Length"]) == len(api.call("GET", "/v1/verifications/ver_1").data)


def test_options_lists_the_methods(api):
    assert "POST" in api.call("OPTIONS", "/v1/verifications").headers["Allow"]


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait=3", 3),
        ("Wait = 3", 3),
        ('respond-async, wait="2"', 2),
        ("wait=4; foo", 4),
        ("wait=60", 5),
        ("wait=0", 0),
        ("wait=-1", 0),
        ("wait=1.5", 0),
        ("wait", 0),
        ("await=3", 0),
        ("wait=" + "9" * 40, 0),
    ],
)
@pytest.mark.parametrize("path", ["/v1/verifications", "/v1/verifications/ver_1/resend"])
def test_a_start_and_a_resend_wait_as_long_as_they_are_asked_to_and_five_seconds_at_most(api, path, prefer, seconds):
    body = {"to": NUMBER, "purpose": "login"} if path == "/v1/verifications" else {}
    answer = api.post(path, body, Prefer=prefer)
    [asked] = [part for part in api.verifier.asked[0] if isinstance(part, StartRequest | ResendRequest)]
    assert asked.asking.wait == seconds
    assert answer.headers.get("Preference-Applied") == (f"wait={seconds}" if seconds else None)


def test_when_many_wait_already_the_next_is_answered_at_once(api):
    with ExitStack() as others:
        for _ in range(MOST_WAITING):
            others.enter_context(waiting("wait=5"))
        answer = api.post("/v1/verifications", {"to": NUMBER, "purpose": "login"}, Prefer="wait=5")
        assert "Preference-Applied" not in answer.headers
    assert api.post("/v1/verifications/ver_1/resend", Prefer="wait=5").headers["Preference-Applied"] == "wait=5"


def test_the_request_id_goes_with_the_send(api):
    api.post("/v1/verifications", {"to": NUMBER, "purpose": "login"}, X_Request_Id="checkout-a")
    [asked] = [part for part in api.verifier.asked[0] if isinstance(part, StartRequest)]
    assert asked.asking.request_id == "checkout-a"


def test_a_lookup_answers_the_latest_verifications_with_their_tries(api):
    answer = api.post("/v1/verifications/lookup", {"to": NUMBER})
    assert answer.status_code == 200
    assert answer.json == {"verifications": [{**VERIFICATION, "tries": [TRY]}, VERIFICATION]}
    assert api.verifier.asked[0][2] == NUMBER
    assert api.call("GET", "/v1/verifications/lookup").status_code == 405
