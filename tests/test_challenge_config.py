"""`[challenge]` is read as strictly as the rest, and what it says is what stands between a start and its send."""

from __future__ import annotations

import base64
import datetime
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from otp_service import config, wiring
from otp_service.challenge import Challenge
from otp_service.cli import findings
from otp_service.errors import ChallengeRequired, ConfigError
from otp_service.keyring import Keyring
from otp_service.verifier import StartRequest
from tests.captcha_service import HOSTNAME, OWN_SECRET, SECRET, SITE_KEY, CaptchaService, serving
from tests.raw_gateway import RawGateway, http_answer, says
from tests.test_config import tables
from tests.world import NUMBER, Server

WHSEC = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
TURNSTILE = {"verifier": "turnstile", "site_key": SITE_KEY, "secret": SECRET}


def read(environ: dict[str, str] | None = None, folder: Path = Path(), **changes: Any) -> config.Config:
    challenge = {**TURNSTILE, **{key: value for key, value in changes.items() if "__" not in key}}
    document = tables(**{key: value for key, value in changes.items() if "__" in key})
    document["challenge"] = {key: value for key, value in challenge.items() if value is not None}
    return config.parse(document, environ or {}, folder)


def fault(environ: dict[str, str] | None = None, **changes: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        read(environ, **changes)
    return str(caught.value)


def test_without_the_table_nobody_is_challenged() -> None:
    loaded = config.parse(tables(), {}, Path())
    assert loaded.challenge is None
    assert [client.challenge for client, _ in loaded.client_keys()] == ["suspicious"]


def test_what_is_left_out_has_a_default() -> None:
    section = read().challenge
    assert section is not None
    assert (section.url, section.hostnames, section.action) == ("", (), "")
    assert (section.timeout, section.on_error) == (3.0, "refuse")


@pytest.mark.parametrize("mode", ["never", "suspicious", "always"])
def test_a_client_says_which_of_its_starts_are_challenged(mode: str) -> None:
    [(client, _)] = read(clients__challenge=mode).client_keys()
    assert client.challenge == mode


def test_a_client_that_challenges_everybody_needs_a_verifier() -> None:
    with pytest.raises(ConfigError, match=r"clients\.shop\.challenge: .*write a table \[challenge\]"):
        config.parse(tables(clients__challenge="always"), {}, Path())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"verifier": "recaptcha"}, 'challenge.verifier: not one of those allowed; write "turnstile"'),
        ({"verifier": None}, "challenge.verifier: missing"),
        ({"secret": None}, "challenge.secret: missing"),
        ({"secret": "short"}, "challenge.secret: too short"),
        ({"secret": SITE_KEY}, "challenge.secret: too short, or the site key"),
        ({"site_key": None}, "challenge.site_key: missing"),
        ({"site_key": "a b"}, "challenge.site_key: not in the form"),
        ({"captcha_id": "x"}, "challenge.captcha_id: unknown key"),
        ({"url": "ftp://x"}, "challenge.url: not an http:// or https:// address"),
        ({"url": "https://user:pass@x.example.com"}, "challenge.url: holds a user"),
        ({"url": "http://captcha.example.com/"}, "challenge.url: not https://"),
        ({"hostnames": ["https://www.example.com"]}, "challenge.hostnames[0]: not in the form"),
        ({"timeout": 0}, "challenge.timeout: too small"),
        ({"timeout": 11}, "challenge.timeout: too large"),
        ({"on_error": "open"}, 'challenge.on_error: not one of those allowed; write "refuse" or "pass"'),
        ({"verifier": "geetest", "hostnames": [HOSTNAME]}, "challenge.hostnames: only"),
        ({"verifier": "hcaptcha", "action": "login"}, "challenge.action: only"),
        ({"verifier": "url", "secret": WHSEC}, "challenge.url: missing"),
        ({"verifier": "url", "url": "https://x.example.com"}, "challenge.secret: does not begin with whsec_"),
        ({"secret": "1x0000000000000000000000000000000AA"}, "challenge.secret: the service's published test key"),
        ({"clients__challenge": "sometimes"}, "clients.shop.challenge: not one of those allowed"),
    ],
)
def test_a_fault_is_named_by_its_key(changes: dict[str, Any], expected: str) -> None:
    said = fault(**changes)
    assert expected in said
    assert "pass@" not in said
    assert SECRET not in said


def test_the_published_test_keys_are_for_installations_with_test_numbers() -> None:
    assert read(secret="0x0000000000000000000000000000000000000000", service__allow_test_numbers=True)


def test_its_secret_may_come_from_a_file_or_the_environment(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    assert read(secret=None, secret_file="secret", folder=tmp_path).challenge == read().challenge
    environ = {"OTP_CHALLENGE__SECRET_FILE": str(tmp_path / "secret"), "OTP_CHALLENGE__HOSTNAMES": HOSTNAME}
    section = read(environ, secret=None).challenge
    assert section is not None
    assert (section.secret.get_secret_value(), section.hostnames) == (SECRET, (HOSTNAME,))


def test_its_secret_is_not_shown() -> None:
    assert SECRET not in repr(read())


def test_an_own_verifier_in_clear_is_warned_of() -> None:
    loaded = read(verifier="url", secret=WHSEC, url="http://captcha.internal/")
    assert [line for line in loaded.warnings(datetime.date(2026, 3, 1)) if line.startswith("challenge.url: is http://")]


# --- what is built of it ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def service() -> Iterator[CaptchaService]:
    with serving() as service:
        yield service


def built_of(server: Server, **changes: Any) -> Challenge:
    loaded = read(**changes)
    keyring = Keyring(loaded.secret_key_pairs(), loaded.fingerprint_key())
    built = wiring.build_challenge(loaded, keyring, server.client)
    assert built is not None
    return built


@pytest.mark.parametrize("verifier", ["turnstile", "hcaptcha", "geetest", "url"])
def test_a_configured_verifier_takes_a_token_for_one_start(
    service: CaptchaService, server: Server, verifier: str
) -> None:
    path, secret = ("own", OWN_SECRET) if verifier == "url" else (verifier, SECRET)
    hosts = [HOSTNAME.upper()] if verifier in ("turnstile", "hcaptcha") else []
    built = built_of(
        server,
        verifier=verifier,
        secret=secret,
        url=f"{service.url}/{path}",
        hostnames=hosts,
        timeout=10,
        clients__challenge="always",
    )
    token = "a-lot-number"
    service.good.add(token)
    if verifier == "geetest":
        token = f'{{"lot_number":"{token}","captcha_output":"o","pass_token":"p","gen_time":1}}'
    [(client, _)] = read(clients__challenge="always").client_keys()
    asked = StartRequest(NUMBER, "login", captcha_token=token)
    built.check(client, asked, "nonce-1")
    built.check(client, asked, "nonce-1")
    with pytest.raises(ChallengeRequired) as required:
        built.check(client, asked, "nonce-2")
    assert (required.value.verifier, required.value.site_key) == (verifier, SITE_KEY)
    built.challenger.close()


@pytest.mark.parametrize("verifier", ["turnstile", "hcaptcha", "geetest", "url"])
def test_the_doctor_asks_it_about_a_token_that_is_none(service: CaptchaService, verifier: str) -> None:
    path, secret = ("own", OWN_SECRET) if verifier == "url" else (verifier, SECRET)
    configured = {"verifier": verifier, "url": f"{service.url}/{path}", "timeout": 10}
    assert doctor(**configured, secret=secret) == "ok"
    other = WHSEC if verifier == "url" else "another-secret-of-the-site"
    assert doctor(**configured, secret=other) == "FAIL"


def test_the_doctor_finds_one_that_lets_everybody_pass() -> None:
    with RawGateway(says(http_answer(body=b'{"success":true}'))) as gateway:
        configured = {"url": f"http://{gateway.host}/", "timeout": 10}
        assert doctor(**configured) == "FAIL"
        test_key = "1x0000000000000000000000000000000AA"
        assert doctor(**configured, secret=test_key, service__allow_test_numbers=True) == "warn"


def doctor(**changes: Any) -> str:
    section = read(**changes).challenge
    assert section is not None
    [finding] = findings.of_challenge(section)
    assert section.secret.get_secret_value() not in finding.text
    return str(finding.level)


def test_passing_on_an_error_is_passed_on(server: Server) -> None:
    built = [built_of(server, on_error=word) for word in ("refuse", "pass")]
    assert [one.pass_when_silent for one in built] == [False, True]
    for one in built:
        one.challenger.close()
