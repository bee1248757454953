"""The CAPTCHA services over HTTP: what they are asked, what their answers come to, and what a hostile one can't do."""

from __future__ import annotations

import json
import socket
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from structlog.testing import capture_logs

from otp_service import metrics
from otp_service.captchas import CaptchaSettings, asking, build_challenger
from otp_service.captchas.asking import Asker
from otp_service.ports import CaptchaDown, CaptchaRefused, Challenger
from tests.captcha_service import HOSTNAME, OWN_SECRET, SECRET, SITE_KEY, CaptchaService, serving
from tests.raw_gateway import RawGateway, http_answer, resets, says

LOT = "4dc3cfc2cdff448cad8d13107198d473"
GEETEST = {"lot_number": LOT, "captcha_output": "o", "pass_token": "p", "gen_time": "1772353800"}
TOKENS = {
    "turnstile": "0.token-of-a-person",
    "hcaptcha": "P1_token-of-a-person",
    "geetest": json.dumps({"captcha_id": SITE_KEY, **GEETEST}),
    "url": "anything",
}
PATIENCE = 30.0
"""Seconds: a deadline that no busy machine reaches."""
SHORT = 0.2
"""A deadline that is reached on purpose."""
ANSWERS = tomllib.loads((Path(__file__).parent / "data" / "captcha_answers.toml").read_text("utf-8"))["answers"]
GOOD = http_answer(body=b'{"success":true}')


OPEN: list[Challenger] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Nobody's connections outlive its test."""
    yield
    while OPEN:
        OPEN.pop().close()


def challenger(verifier: Any, url: str, **more: Any) -> Challenger:
    secret = OWN_SECRET if verifier == "url" else SECRET
    hostnames = frozenset({HOSTNAME}) if verifier in ("turnstile", "hcaptcha") else frozenset()
    settings: dict[str, Any] = {"hostnames": hostnames, "timeout": PATIENCE}
    settings |= {"action": "login"} if verifier == "turnstile" else {}
    made = build_challenger(CaptchaSettings(verifier, SITE_KEY, more.pop("secret", secret), url, **settings | more))
    OPEN.append(made)
    return made


def verdict(asked: Challenger, token: str = "", client_ip: str | None = None) -> str:
    try:
        asked.verify(token or TOKENS[asked.verifier], client_ip)
    except CaptchaRefused:
        return "refused"
    except CaptchaDown as down:
        return "silent" if down.silent else "fault"
    return "passed"


@pytest.fixture(scope="module")
def service() -> Iterator[CaptchaService]:
    with serving() as service:
        yield service


@pytest.mark.parametrize("case", ANSWERS, ids=lambda case: case["name"])
def test_each_answer_comes_to_one_verdict(case: dict[str, Any]) -> None:
    play = says(http_answer(case.get("status", 200), case["body"].encode()))
    with RawGateway(play) as gateway:
        assert verdict(challenger(case["verifier"], f"http://{gateway.host}/verify")) == case["verdict"]


@pytest.mark.parametrize("verifier", TOKENS)
def test_a_service_of_each_kind_takes_a_token_once(service: CaptchaService, verifier: str) -> None:
    asked = challenger(verifier, f"{service.url}/{'own' if verifier == 'url' else verifier}")
    service.good |= {TOKENS[verifier], LOT}
    assert [verdict(asked, client_ip="192.0.2.1"), verdict(asked)] == ["passed", "refused"]
    assert asked.site_key == SITE_KEY


def test_turnstile_and_hcaptcha_are_asked_by_a_form_and_the_address_only_where_it_is_known(
    service: CaptchaService,
) -> None:
    """And no cookie comes back: a person's would go along with the next one's."""
    service.asked.clear()
    for verifier in ("turnstile", "hcaptcha"):
        asked = challenger(verifier, f"{service.url}/{verifier}")
        verdict(asked, client_ip="2001:db8::1")
        verdict(asked)
    form = {"secret": SECRET, "response": TOKENS["turnstile"], "cookie": ""}
    of_hcaptcha = {**form, "response": TOKENS["hcaptcha"], "sitekey": SITE_KEY}
    address = {"remoteip": "2001:db8::1"}
    assert service.asked == [form | address, form, of_hcaptcha | address, of_hcaptcha]


def test_geetest_gets_a_signature_and_never_the_key() -> None:
    """The signature is a vector: HMAC-SHA256 of the lot number under the key, in hex."""
    with RawGateway(says(http_answer(body=b'{"result":"success"}'))) as gateway:
        assert verdict(challenger("geetest", f"http://{gateway.host}/validate")) == "passed"
    [target], [body] = gateway.targets(), gateway.bodies()
    assert target == f"POST /validate?captcha_id={SITE_KEY}"
    signed = "43419c67da9f6faf2697ca337a12aa6b8bb7eaf085574b41d8a3eacda16d3caf"
    assert dict(parse_qsl(body.decode())) == {**GEETEST, "sign_token": signed}
    assert SECRET.encode() not in gateway.requests[0]


def test_an_own_verifier_is_asked_by_a_signed_post(service: CaptchaService) -> None:
    """The service checks the signature, and answers 401 to another."""
    service.asked.clear()
    verdict(challenger("url", f"{service.url}/own"), "t", "192.0.2.1")
    assert service.asked == [{"type": "captcha.verify", "token": "t", "client_ip": "192.0.2.1"}]
    other = "whsec_" + "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    assert verdict(challenger("url", f"{service.url}/own", secret=other)) == "fault"


@pytest.mark.parametrize("verifier", ["turnstile", "hcaptcha", "geetest"])
def test_wrong_keys_of_ours_are_no_fault_of_the_token(service: CaptchaService, verifier: str) -> None:
    assert verdict(challenger(verifier, f"{service.url}/{verifier}", secret="another-secret-of-16")) == "fault"


@pytest.mark.parametrize(
    "token",
    [
        "",
        "0.turnstile",
        "[]",
        "null",
        '"x"',
        "{}",
        json.dumps({**GEETEST, "lot_number": ""}),
        json.dumps({**GEETEST, "pass_token": None}),
        json.dumps({**GEETEST, "gen_time": True}),
        json.dumps({**GEETEST, "captcha_output": {"a": 1}}),
        "[" * 4000,
    ],
)
def test_what_is_no_token_of_geetest_is_refused_unasked_and_told_what_one_is(token: str) -> None:
    asked = challenger("geetest", "http://127.0.0.1:1/validate")
    for judge in (asked.identity, lambda text: asked.verify(text, None)):
        with pytest.raises(CaptchaRefused, match=r"the JSON object of getValidate\(\)"):
            judge(token)


def test_a_token_has_one_identity_however_it_is_spelled() -> None:
    geetest = challenger("geetest", "http://127.0.0.1:1")
    spelled = [TOKENS["geetest"], json.dumps(GEETEST, indent=1), json.dumps({**GEETEST, "gen_time": 5, "more": 1})]
    assert {geetest.identity(token) for token in spelled} == {LOT}
    assert challenger("turnstile", "http://127.0.0.1:1").identity(" token ") == "token"


class TestAHostileService:
    """Whatever it does, the question ends by its deadline, with no verdict, and with nothing of it in the error."""

    def silence(self, line: socket.socket) -> None:
        self.gateway.wait_for_end(line)

    def head_byte_by_byte(self, line: socket.socket) -> None:
        """Each read of it is short; only their sum is not."""
        line.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not self.gateway.closing.wait(0.02):
            line.sendall(b"x")

    def body_byte_by_byte(self, line: socket.socket) -> None:
        line.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n{"success":true')
        while not self.gateway.closing.wait(0.02):
            line.sendall(b" ")

    def endless(self, line: socket.socket) -> None:
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n")
        for _ in range(160):
            line.sendall(b" " * 65536)

    def verdict(self, play: Any, timeout: float = PATIENCE) -> str:
        with RawGateway(play) as self.gateway:
            return verdict(challenger("url", f"http://{self.gateway.host}/", timeout=timeout))

    @pytest.mark.parametrize("play", ["silence", "head_byte_by_byte", "body_byte_by_byte"])
    def test_that_is_slow_is_silent(self, play: str) -> None:
        assert self.verdict(getattr(self, play), SHORT) == "silent"

    def test_that_resets_or_is_not_there_is_silent(self) -> None:
        assert self.verdict(resets) == "silent"
        assert verdict(challenger("url", "http://127.0.0.1:1/")) == "silent"

    def test_that_sends_10_mb_is_cut_off(self) -> None:
        assert self.verdict(self.endless) == "fault"

    def test_that_redirects_is_not_followed(self) -> None:
        with RawGateway(says(GOOD)) as elsewhere:
            there = {"Location": f"http://{elsewhere.host}/"}
            assert self.verdict(says(http_answer(307, b'{"success":true}', there))) == "fault"
            assert not elsewhere.requests

    def test_that_speaks_no_http_or_hangs_up_is_no_silence(self) -> None:
        """A token may have felled it: for that nobody may pass."""
        assert self.verdict(says(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")) == "fault"
        assert self.verdict(lambda line: line.shutdown(socket.SHUT_RDWR)) == "fault"

    @pytest.mark.parametrize(
        "body", [b"[" * 60_000, b'{"success":' + b"9" * 5000 + b"}", b"\xff\xfe", b'{"success":NaN}']
    )
    def test_that_sends_odd_json_gives_no_verdict(self, body: bytes) -> None:
        assert self.verdict(says(http_answer(body=body))) == "fault"

    def test_that_sends_a_packed_answer_is_not_unpacked(self) -> None:
        bomb = http_answer(body=b"\x1f\x8b" + bytes(100), headers={"Content-Encoding": "gzip"})
        assert self.verdict(says(bomb)) == "fault"


def test_a_proxy_of_the_environment_is_not_asked(service: CaptchaService, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would see token and secret."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    service.good.add("t")
    assert verdict(challenger("url", f"{service.url}/own"), "t") == "passed"


def test_a_service_that_stays_silent_is_left_alone_and_then_asked_again() -> None:
    """So its outage does not hold the threads of the API."""
    now = 0.0
    with (
        RawGateway(says(http_answer(503, b""))) as gateway,
        closing(Asker(f"http://{gateway.host}/", PATIENCE, clock=lambda: now)) as asker,
    ):

        def ask() -> None:
            with pytest.raises(CaptchaDown) as down:
                asker.post(b"", {})
            assert down.value.silent

        for _ in range(asking.REST_AFTER + 10):
            ask()
        assert len(gateway.requests) == asking.REST_AFTER
        now = asking.REST_SECONDS + 1
        ask()
        assert len(gateway.requests) == asking.REST_AFTER + 1


def test_one_answer_ends_a_row_of_silences() -> None:
    bad, answers = http_answer(503, b""), []
    for _ in range(3):
        answers += [*[bad] * (asking.REST_AFTER - 1), GOOD]
    with RawGateway(says(*answers)) as gateway:
        asked = challenger("url", f"http://{gateway.host}/")
        assert [verdict(asked) for _ in answers].count("passed") == 3


def test_a_flood_of_tokens_holds_no_more_threads_than_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """And it is no silence: else a flood would open the door that an outage may open."""
    monkeypatch.setattr(asking, "MOST_ASKING", 2)
    go_on = threading.Event()

    def play(line: socket.socket) -> None:
        go_on.wait(PATIENCE)
        line.sendall(GOOD)

    with RawGateway(play) as gateway:
        asked = challenger("url", f"http://{gateway.host}/")
        said: list[str] = []
        askers = [threading.Thread(target=lambda: said.append(verdict(asked))) for _ in range(2)]
        for asker in askers:
            asker.start()
        ends = time.monotonic() + PATIENCE
        while len(gateway.requests) < 2 and time.monotonic() < ends:
            time.sleep(0.005)
        assert verdict(asked) == "fault"
        go_on.set()
        for asker in askers:
            asker.join(PATIENCE)
        assert said == ["passed", "passed"]


def test_a_place_is_given_back_when_the_question_is_over_and_not_at_its_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A service that dribbles for ever holds its share, and no more."""
    monkeypatch.setattr(asking, "MOST_ASKING", 1)
    over = threading.Event()

    class Dribbling(Asker):
        def _exchange(self, *_: object) -> tuple[int, bytes]:
            over.wait(PATIENCE)
            return 200, b"{}"

    with closing(Dribbling("http://127.0.0.1:1/", SHORT)) as asker:
        for word in ("in time", "slow"):
            with pytest.raises(CaptchaDown, match=word):
                asker.post(b"", {})
        over.set()


def test_each_verdict_is_counted_and_a_fault_is_logged_once_a_minute() -> None:
    def counted(verdict: str) -> float:
        return metrics.CAPTCHAS.labels("turnstile", verdict)._value.get()

    before = [counted(word) for word in ("fault", "refused")]
    answers = [b'{"success":false,"error-codes":["invalid-input-secret"]}'] * 2 + [b'{"success":false}']
    with RawGateway(says(*(http_answer(body=body) for body in answers))) as gateway, capture_logs() as logs:
        asked = challenger("turnstile", f"http://{gateway.host}/")
        assert [verdict(asked) for _ in range(3)] == ["fault", "fault", "refused"]
    assert [counted(word) for word in ("fault", "refused")] == [before[0] + 2, before[1] + 1]
    [line] = logs
    assert (line["verifier"], line["verdict"], line["log_level"]) == ("turnstile", "fault", "warning")
    assert "challenge.site_key" in line["why"]


def test_neither_token_nor_secret_is_in_an_error_or_a_repr() -> None:
    with RawGateway(resets) as gateway:
        asked = challenger("turnstile", f"http://{gateway.host}/")
        with pytest.raises(CaptchaDown) as down:
            asked.verify(TOKENS["turnstile"], "192.0.2.1")
    assert down.value.__cause__ is None
    assert down.value.__context__ is None
    for shown in (str(down.value), repr(asked), repr(CaptchaSettings("turnstile", "k", SECRET))):
        assert not any(secret in shown for secret in (TOKENS["turnstile"], SECRET, "192.0.2.1"))
