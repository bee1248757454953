"""A start that needs a CAPTCHA, as its caller meets it."""

from __future__ import annotations

import pytest

from otp_service.errors import ChallengeRequired

START = {"to": "+8613800138000", "purpose": "login"}
TOKEN = '{"lot_number":"4dc3","captcha_output":"o","pass_token":"p","gen_time":"1772353800"}'


@pytest.mark.parametrize("reason", ["client", "suspicious"])
def test_it_says_which_widget_to_show_and_why(api, reason):
    api.verifier.refusal = ChallengeRequired("Show it.", reason=reason, verifier="turnstile", site_key="0x4AAA")
    answer = api.post("/v1/verifications", START)
    assert answer.status_code == 422
    assert answer.json["problem"] == "challenge_required"
    assert answer.json["challenge"] == {"verifier": "turnstile", "site_key": "0x4AAA"}
    assert answer.json["reason"] == reason
    assert not {"verification", "retry_after"} & set(answer.json)


def test_its_token_is_a_string_and_goes_to_the_verifier_as_it_is(api):
    api.post("/v1/verifications", START | {"captcha_token": TOKEN})
    assert api.verifier.asked[0][2].captcha_token == TOKEN
    assert TOKEN not in repr(api.verifier.asked[0][2])


@pytest.mark.parametrize("token", ["", "x" * 4097, "a\nb", 1, {"lot_number": "4dc3"}, ["x"], True])
def test_what_can_be_no_token_is_a_400_at_captcha_token_and_not_repeated(api, token):
    answer = api.post("/v1/verifications", START | {"captcha_token": token})
    assert (answer.status_code, api.verifier.asked) == (400, [])
    assert [error["pointer"] for error in answer.json["errors"]] == ["/captcha_token"]
    assert b"4dc3" not in answer.data


@pytest.mark.parametrize("call", ["/v1/verifications/ver_1/resend", "/v1/verifications/ver_1/check"])
def test_only_a_start_takes_one(api, call):
    assert api.post(call, {"code": "345678", "captcha_token": TOKEN}).status_code == 400


def test_its_page_and_the_document_tell_of_it(api):
    page = api.get("/problems/challenge_required", Accept="application/json").json
    assert page["example"]["challenge"]["verifier"] == "turnstile"
    refusal = api.get("/openapi.json").json["paths"]["/v1/verifications"]["post"]["responses"]["422"]
    assert "challenge_required" in refusal["content"]["application/problem+json"]["examples"]
    schema = api.get("/openapi.json").json["components"]["schemas"]
    assert schema["Problem"]["properties"]["challenge"]["$ref"].endswith("/Challenge")
