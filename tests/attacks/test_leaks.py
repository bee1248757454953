"""What goes wrong, and what libraries say at their loudest, writes no code, number or secret anywhere."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import structlog

from otp_service import pumping
from otp_service.api_keys import ClientKeys, new_key
from otp_service.challenge import Challenge
from otp_service.channels.http.proxied import silence_http_loggers
from otp_service.cli.admin_server import admin_server
from otp_service.config.fields import Address
from otp_service.guard import Guard
from otp_service.logs import configure_logs, hear_everything
from otp_service.policy import Limits, Spend, Window
from otp_service.ports import Store
from otp_service.revocation import HeededKeys
from otp_service.store import RedisRevocations, RedisSpentTokens, RedisStore
from otp_service.store.scripts import SCRIPTS, Script
from otp_service.verifier import Verifier
from otp_service.web.app import create_app
from otp_service.web.edge import respond
from otp_service.web.exchange import Response
from otp_service.web.service import Service
from tests.attacks.thief import assert_silent, spoken
from tests.channel_tables import MESSAGE, SECRET, deliver
from tests.raw_gateway import RawGateway, http_answer, says
from tests.world import NUMBER, SHOP, Server, World

CODE = "8530962417"
SESSION = "session-of-the-person"
SECRETS = {
    "number": NUMBER,
    "national number": NUMBER[3:],
    "code": CODE,
    "session": SESSION,
    "address": "198.51.100.77",
    "device": "device-of-the-person",
    "idempotency key": "key-of-the-caller",
}
COUNTED = Limits(recipient=(), prefix=(), failures=(), client_ip=(Window(1000, 3600),))
WORDS = " ".join(SECRETS.values())
TOKEN = "0.captcha-token-of-the-person"

Said = Callable[[], str]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Iterator[Said]:
    """Everything since the last look that our log, and every library's at its finest, has written."""
    caplog.set_level(1)
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook, sys.unraisablehook)
    handlers = list(root.handlers)
    configure_logs(logging.DEBUG)
    hear_everything()

    def look() -> str:
        text = capsys.readouterr().err + caplog.text
        caplog.clear()
        return text

    yield look
    root.handlers[:] = handlers
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    structlog.reset_defaults()


# --- T39: an exception in every handler and script --------------------------------------------------------------------


class Failing:
    """A store of which one method fails, and says in its words all that it was given."""

    def __init__(self, store: object, method: str) -> None:
        self._store = store
        self._method = method
        self.reached = False

    def __getattr__(self, name: str) -> Any:
        return self._fail if name == self._method else getattr(self._store, name)

    def _fail(self, *given: object, **more: object) -> None:
        self.reached = True
        raise RuntimeError(f"{WORDS} {given} {more}")


METHODS = ("start", "resend", "check", "latest", "cancel", "view", "recent", "await_outcome", "now", "use_token",
           "claim", "keep", "release", "charge", "refund", "brake", "failed", "enable", "sky")  # fmt: skip
OF_OTHERS = {"suppress"}
"""Of the store, asked for by no call of the API: an operator and a reply of the person do."""


def test_every_method_that_a_call_may_reach_is_on_the_list() -> None:
    """T39: a new one fails below as the others do."""
    assert set(METHODS) | OF_OTHERS == {name for name in vars(Store) if not name.startswith("_")}


class Caller:
    def __init__(self, world: World) -> None:
        self.key = new_key()
        self._keys = ClientKeys([(SHOP, [self.key.hash])])
        self.waits = False
        self.use(world.verifier)

    def use(self, verifier: Verifier) -> None:
        self._http = create_app(Service(verifier, self._keys, lambda: False, "1")).test_client()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.key.text}", **({"Prefer": "wait=1"} if self.waits else {})}
        headers |= {"Idempotency-Key": f"key-of-the-caller{path}{body}"} if method == "POST" else {}
        return self._http.open(path, method=method, headers=headers, json=body)


def every_call(id: str, to: str) -> Iterator[tuple[str, str, Any]]:
    """One of each; the number and the code are spelt as a person may."""
    start = {"to": to, "purpose": "login", "session": SESSION, "client_ip": "198.51.100.77"}
    facts = {"session": SESSION, "device": "device-of-the-person"}
    yield "POST", "/v1/verifications", {**start, "purpose": "signup", "device": "device-of-the-person"}
    yield "POST", "/v1/verifications", start
    yield "GET", f"/v1/verifications/{id}", None
    yield "POST", f"/v1/verifications/{id}/resend", {}
    yield "POST", f"/v1/verifications/{id}/check", {**facts, "code": CODE}
    yield "POST", "/v1/verifications/check", {"to": to, "purpose": "login", **facts, "code": CODE}
    yield "POST", "/v1/verifications/lookup", {"to": to}
    yield "POST", "/v1/tokens/verify", {"token": "a.b.c", "purpose": "login", "to": to}
    yield "POST", "/v1/recipients/enable", {"to": to}
    yield "DELETE", f"/v1/verifications/{id}", None


def test_an_exception_in_any_step_of_any_call_is_told_by_its_place(real_server: Server, said: Said) -> None:
    """T39: each call, with each method of the store failing under it."""
    world = World(real_server, COUNTED, code_length=10)
    caller = Caller(world)
    text, failed = said(), set()
    for n, method in enumerate(METHODS):
        to = f"138001382{n:02d}"
        id = world.start(to, session=SESSION).verification.id
        store = Failing(world.store, method)
        caller.waits = method == "await_outcome"
        caller.use(Verifier(store, world.keyring, world.rules))  # type: ignore[arg-type]
        for call in every_call(id, to):
            answer = caller.call(*call)
            if answer.status_code == 500:
                failed.add(method)
                assert answer.json["problem"] == "internal"
            assert_silent(f"an answer of {call[1]}", answer.data, SECRETS | {"number asked": to})
        text += said()
        assert to not in text
    # The token is no token, so nothing asks for its state; nobody waits for the outcome of a send that failed.
    assert failed >= set(METHODS) - {"use_token", "now"}
    assert '"error": "RuntimeError"' in text
    assert_silent("the log", text.encode(), SECRETS | {"API key": caller.key.text})


OF_THE_API = ("start", "resend", "check", "cancel", "view", "token", "claim", "keep", "release", "charge", "now",
              "brake", "spend", "unspend")  # fmt: skip


def failing(script: Script) -> Script:
    """It fails with all its keys and arguments in its words."""
    said = "'ERR ' .. table.concat(KEYS, ' ') .. table.concat(ARGV, ' ')"
    text = f"redis.call('SET', 'reached', '1') return redis.error_reply({said})"
    return Script(text, Script.sha_of(text))


def test_an_exception_in_any_script_is_told_by_its_place(real_server: Server, said: Said) -> None:
    """T39: Redis refuses each of them, and repeats all that it was given."""
    world = World(real_server, COUNTED, code_length=10).with_rules(spend=Spend({"*": 1}, client=10**9))
    caller = Caller(world)
    text, reached = said(), set()
    for n, name in enumerate(OF_THE_API):
        to = f"138001383{n:02d}"
        id = world.start(to, session=SESSION).verification.id
        scripts = {**SCRIPTS, name: failing(SCRIPTS[name])}
        caller.use(Verifier(RedisStore(real_server.client, scripts=scripts), world.keyring, world.rules))
        for call in every_call(id, to):
            answer = caller.call(*call)
            if real_server.client.delete("reached"):
                reached.add(name)
            assert_silent("an answer", answer.data, SECRETS | {"number asked": to})
        text += said()
        assert to not in text
    # The token is no token, so nothing asks for its state.
    assert reached >= set(OF_THE_API) - {"token"}
    assert_silent("the log", text.encode(), SECRETS | {"API key": caller.key.text})


class Captchas:
    """A verifier that takes every token."""

    verifier, site_key = "own", "site-key"

    def identity(self, token: str) -> str:
        return token

    def verify(self, token: str, client_ip: str | None) -> None: ...


ASKED_BEFORE = ["identity", "verify", "spender", "spend", "ids", "countries", "name"]


@pytest.mark.parametrize("step", ASKED_BEFORE)
def test_an_exception_in_what_is_asked_before_a_call_is_told_by_its_place(
    step: str, real_world: World, said: Said
) -> None:
    """T39: the CAPTCHA and its service, the revoked keys, the pumping guard: each says all that it was given."""
    redis = real_world.server.client
    failing = [Failing(one, step) for one in (Captchas(), RedisSpentTokens(redis), RedisRevocations(redis))]
    captchas, spent, revocations = failing
    naming = Failing(real_world.keyring, "name")._fail if step == "name" else real_world.keyring.captcha
    ledger = Failing(real_world.ledger, step)
    challenge = Challenge(captchas, spent, naming)  # type: ignore[arg-type]
    pumping_guard = Guard(ledger, real_world.keyring, pumping.Rules(mode="block"))  # type: ignore[arg-type]
    key = new_key()
    keys = HeededKeys(ClientKeys([(replace(SHOP, challenge="always"), [key.hash])]), revocations)  # type: ignore[arg-type]
    verifier = Verifier(real_world.store, real_world.keyring, real_world.rules, challenge, pumping_guard=pumping_guard)
    said()
    start = {"to": NUMBER, "purpose": "login", "client_ip": "198.51.100.77", "captcha_token": TOKEN}
    http = create_app(Service(verifier, keys, lambda: False, "1")).test_client()
    answer = http.post("/v1/verifications", headers={"Authorization": f"Bearer {key.text}"}, json=start)
    assert (answer.status_code, answer.json["problem"]) == (500, "internal")
    text = said()
    assert '"error": "RuntimeError"' in text
    for place, found in (("the answer", answer.data), ("the log", text.encode())):
        assert_silent(place, found, SECRETS | {"API key": key.text, "CAPTCHA token": TOKEN})


def test_a_channel_that_fails_in_a_way_that_nobody_foresaw_is_told_by_its_place(real_world: World, said: Said) -> None:
    """T39: in the worker, with the message in the exception's words."""
    id = real_world.start().verification.id
    code = real_world.code_of(id)

    async def fails() -> Any:
        message = real_world.gateways[0].inbox[0]
        raise ValueError(f"{message.to} {message.text} {WORDS}")

    real_world.gateways[0].answers = [fails]

    async def work() -> None:
        async with real_world.working():
            while not real_world.gateways[0].inbox:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    asyncio.run(work())
    text = said()
    assert '"error": "ValueError"' in text
    assert "fails" in text  # the frame
    assert_silent("the log", text.encode(), SECRETS | {"code sent": code})


def test_what_asyncio_says_of_a_task_that_nobody_asked_about_is_told_by_its_place(said: Said) -> None:
    """T39: it puts the exception's words into its message and into a traceback."""

    async def fails() -> None:
        raise ValueError(WORDS)

    async def forget() -> None:
        task = asyncio.create_task(fails())
        await asyncio.sleep(0)
        del task

    asyncio.run(forget())
    [line] = [json.loads(line) for line in said().splitlines() if "never retrieved" in line and line.startswith("{")]
    assert (line["event"], line["logger"]) == ("Task exception was never retrieved", "asyncio")
    assert (line["error"], line["level"]) == ("ValueError", "error")
    assert line["frames"][-1].endswith(" fails")
    assert_silent("the line", json.dumps(line).encode(), SECRETS)


def test_an_error_that_nobody_caught_is_told_by_its_place(said: Said, capsys: pytest.CaptureFixture[str]) -> None:
    """T39: of the main thread, of another, and of what is cleared away."""

    def fails() -> None:
        raise ValueError(WORDS)

    thread = threading.Thread(target=fails)
    thread.start()
    thread.join()
    for hook in (sys.excepthook, lambda *_: sys.unraisablehook(_Unraisable(sys.exc_info()))):
        try:
            fails()
        except ValueError:
            hook(*sys.exc_info())  # type: ignore[arg-type]
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["event"], line["error"], line["level"]) for line in lines] == [
        ("an error that nobody caught", "ValueError", "critical")
    ] * 3
    assert_silent("the log", str(lines).encode(), SECRETS)


class _Unraisable:
    def __init__(self, info: Any) -> None:
        self.exc_type, self.exc_value, self.exc_traceback = info


def test_a_line_that_does_not_fit_its_values_shows_none_of_them(said: Said, capsys: pytest.CaptureFixture[str]) -> None:
    """T39: Python itself would write the format and all the values to stderr."""
    logging.getLogger("somebody").propagate  # noqa: B018 (made, and of the root)
    record = logging.LogRecord("somebody", logging.WARNING, "", 0, "%d", (WORDS,), None)
    [ours] = [handler for handler in logging.getLogger().handlers if type(handler).__name__ == "_Others"]
    ours.handle(record)
    err = capsys.readouterr().err
    assert '"logger": "somebody"' in err
    assert_silent("stderr", err.encode(), SECRETS)


class Broken:
    def write(self, text: str) -> None:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError


def test_a_log_that_nobody_takes_costs_no_request_its_answer(
    real_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, or a collector that went away: the code would be used up, and the caller told nothing but 500."""
    monkeypatch.setattr(sys, "stderr", Broken())
    configure_logs()
    try:
        caller = Caller(real_world)
        id = real_world.start().verification.id
        answer = caller.call("POST", f"/v1/verifications/{id}/check", {"code": real_world.code_of(id)})
        assert (answer.status_code, answer.json["status"]) == (200, "approved")
        real_world.start("13800138001")
        real_world.deliver()
        assert len(real_world.gateways[0].inbox) == 1
    finally:
        structlog.reset_defaults()


# --- T40: gateways that take everything in the address ----------------------------------------------------------------

IN_THE_URL = f"""
protocol = "http_template"
method = "GET"
url = "http://gateway.example/send?to={{{{ digits }}}}&key={{{{ password }}}}&code={{{{ code }}}}&text={{{{ text }}}}"
account = "me"
password = "{SECRET}"
accept = [{{ text = "ok" }}]
"""


@pytest.mark.parametrize("way", ["direct", "by a proxy"])
def test_a_code_and_a_password_in_the_address_reach_no_log(way: str, said: Said) -> None:
    """T40: httpx and httpcore, which serve proxies, write the address at INFO and headers at DEBUG."""
    silence_http_loggers()
    for name in ("httpx", "httpcore", "httpcore.http11", "httpcore.connection", "httpcore.proxy", "asyncio"):
        logging.getLogger(name).setLevel(1)
    with RawGateway(says(http_answer(body=b"ok"))) as gateway:
        own = f"http://{gateway.host}/send?to={{{{ digits }}}}&key={{{{ password }}}}&code={{{{ code }}}}"
        changes = {"proxy": f"http://user:{SECRET}2@{gateway.host}"} if way != "direct" else {"url": own}
        result = deliver(IN_THE_URL, **changes)
    assert result.outcome == "accepted"
    assert MESSAGE.code in gateway.targets()[0]
    assert SECRET in gateway.targets()[0]
    text = said()
    assert "asyncio" in text  # the capture works
    secrets = {
        "code": MESSAGE.code,
        "number": MESSAGE.to[1:],
        "password": SECRET,
        "password of the proxy": f"{SECRET}2",
    }
    assert_silent("the log", (text + repr(result)).encode(), secrets)


# --- T41: one line a request ------------------------------------------------------------------------------------------

TRICKS = [
    '\n{"event": "forged"}',
    "\r\nforged",
    "%0aforged",
    "\x1b[2Jforged",
    "\x9b2Jforged",
    "\u2028forged",
    "\u202eforged",
]


@pytest.mark.parametrize("trick", TRICKS, ids=ascii)
def test_what_a_stranger_writes_makes_no_second_line_and_moves_no_cursor(
    real_world: World, said: Said, trick: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """T41: in the number, the user agent, the request's id, the path, and in a gateway's words."""
    caller = Caller(real_world)
    http = caller._http
    environ = {"HTTP_USER_AGENT": trick, "HTTP_X_REQUEST_ID": f"a{trick}", "HTTP_IDEMPOTENCY_KEY": f"k{trick}"}
    headers = {"Authorization": f"Bearer {caller.key.text}", "Content-Type": "application/json"}
    body = json.dumps({"to": f"13800138000{trick}", "purpose": f"login{trick}"})
    http.post("/v1/verifications", data=body, headers=headers, environ_overrides=environ)
    http.get(f"/v1/verifications/ver_{trick}", headers=headers, environ_overrides=environ)
    structlog.get_logger("a").warning("a gateway's words", words=f"no{trick}")
    logging.getLogger("somebody").warning("what a library says %s", trick)
    err = capsys.readouterr().err
    assert all(char == "\n" or char.isprintable() for char in err), ascii(err)
    events = [json.loads(line)["event"] for line in err.splitlines()]
    assert events[:3] == ["request", "request", "a gateway's words"]
    assert len(events) == 4


# --- T42: pages -------------------------------------------------------------------------------------------------------

MALFORMED = [
    f"GET /{NUMBER} and more HTTP/1.1\r\n\r\n",
    f"{NUMBER}\r\n\r\n",
    f"{NUMBER} / HTTP/1.1\r\n\r\n",
    f"GET / HTTP/{NUMBER}\r\n\r\n",
    f"GET /{NUMBER} HTTP/1.1\r\n\r\n",
    f"GET / HTTP/1.1\r\n{NUMBER}\r\n\r\n",
]


@pytest.mark.parametrize("asked", MALFORMED)
def test_the_administrative_address_repeats_nothing_of_a_request_that_it_can_not_read(
    asked: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """T42: the page of Python's own server would show the request line."""

    def app(environ: Any, start_response: Any) -> Any:
        return respond(Response(404, b"{}"), start_response)

    with admin_server(Address("127.0.0.1", 0), app) as server:
        server.timeout = 30
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        answer = spoken("127.0.0.1", server.server_port, asked.encode())
        thread.join()
    assert answer.startswith(b"HTTP/1.0 ") or b"Error response" in answer
    assert NUMBER[3:].encode() not in answer
    assert capsys.readouterr().err == ""
