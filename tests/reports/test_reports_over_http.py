"""Reports from a gateway in a process of its own, polled and pushed, by all that a worker and an API really are."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs
from werkzeug.serving import make_server

from otp_service import config as configuration
from otp_service import wiring
from otp_service.api_keys import new_key
from otp_service.config import Config
from otp_service.errors import ConfigError, RecipientBlocked
from otp_service.policy import Client
from otp_service.verification import Delivery, Verification
from otp_service.verifier import StartRequest
from otp_service.webhook_signature import sign
from otp_service.wiring.server import check_start
from tests.cli.processes import PATIENCE
from tests.cli.processes import until as comes
from tests.reports.report_world import counted
from tests.world import Server

SHOP = Client("shop", frozenset({"login", "signup"}))
SECRET, OTHER_SECRET = ("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode() for _ in range(2))
KEY = new_key()
MOBILE = "13800138000"


def until(holds: Callable[[], object]) -> None:
    comes(holds, "what was waited for")


def random_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def tables(url: str, gateway: str, **channel: Any) -> dict[str, Any]:
    other = {key: OTHER_SECRET if value == SECRET else value for key, value in channel.items()}
    common = {"protocol": "sms_aspx", "url": gateway, "password": "demo", "signature": "今信科技", "report_interval": 1}
    return {
        "service": {
            "secret_keys": [f"a:{random_key()}"],
            "fingerprint_key": random_key(),
            "default_region": "CN",
        },
        "redis": {"url": url},
        "limits": {"recipient": []},
        "channels": [
            {"name": "primary", "account": "demo", **common, "reports": "poll", **channel},
            {"name": "backup", "account": "backup", **common, "reports": "poll", **other},
        ],
        "clients": [{"name": "shop", "key_hashes": [KEY.hash]}],
    }


class Place:
    """One installation; its worker runs in a thread, with a loop of its own."""

    def __init__(self, loaded: Config, gateway: httpx.Client) -> None:
        self.loaded = loaded
        self.gateway = gateway
        self.verifier = wiring.build_verifier(loaded)

    def start(self) -> str:
        return self.verifier.start(SHOP, StartRequest(to=MOBILE, purpose="login")).verification.id

    def get(self, id: str) -> Verification:
        return self.verifier.get(SHOP, id)

    def account(self, name: str, **settings: Any) -> None:
        self.gateway.put(f"/api/accounts/{name}", json=settings).raise_for_status()

    def codes(self) -> list[str]:
        return [one["code"] for one in self.gateway.get("/api/messages", params={"mobile": MOBILE}).json()["messages"]]

    @contextmanager
    def worker(self) -> Iterator[None]:
        began, crew, loop = threading.Event(), [], []

        async def work() -> None:
            async with wiring.build_worker(self.loaded) as built:
                crew.append(built)
                loop.append(asyncio.get_running_loop())
                began.set()
                assert await built.run(5)

        thread = threading.Thread(target=lambda: asyncio.run(work()))
        thread.start()
        assert began.wait(20)
        try:
            yield
        finally:
            loop[0].call_soon_threadsafe(crew[0].stop)
            thread.join()

    @contextmanager
    def api(self) -> Iterator[str]:
        server = make_server("127.0.0.1", 0, wiring.build_app(self.loaded, self.verifier), threaded=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@pytest.fixture(scope="module")
def simulator() -> Iterator[httpx.Client]:
    command = [sys.executable, "-m", "otp_service.simulator", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().removeprefix("simulator ").strip()
        with httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE) as client:
            yield client
        process.terminate()


@pytest.fixture
def gateway(simulator: httpx.Client) -> httpx.Client:
    """A simulator in its own process, as fresh as at its start; reports are due at once."""
    simulator.post("/api/reset", json={}).raise_for_status()
    for name in ("demo", "backup"):
        simulator.put(f"/api/accounts/{name}", json={"report_delay": 0}).raise_for_status()
    return simulator


@pytest.fixture
def make(real_server: Server, gateway: httpx.Client) -> Callable[..., Place]:
    def build(**channel: Any) -> Place:
        given = tables(real_server.url, str(gateway.base_url).rstrip("/"), **channel)
        loaded = configuration.parse(given, {}, Path())
        # Polled more often than anybody may configure.
        channels = tuple(one.model_copy(update={"report_interval": 0.1}) for one in loaded.channels)
        return Place(loaded.model_copy(update={"channels": channels}), gateway)

    return build


@pytest.mark.parametrize("profile", ["seed", "classic", "v2", "huaxin"])
def test_a_polled_report_says_delivered(make: Callable[..., Place], profile: str) -> None:
    rear = {"signature_position": "rear"} if profile == "huaxin" else {}
    place = make(profile=profile, **rear)
    with place.worker():
        id = place.start()
        until(lambda: place.get(id).delivery is Delivery.DELIVERED)
    assert [(one.channel, one.report) for one in place.get(id).tries] == [("primary", "delivered")]


def test_what_was_not_delivered_goes_once_more_by_another_channel_with_the_same_code(
    make: Callable[..., Place],
) -> None:
    place = make(profile="classic")
    place.account("demo", report="failed")
    with place.worker():
        id = place.start()
        until(lambda: place.get(id).delivery is Delivery.DELIVERED)
    tries = [(one.channel, one.outcome, one.report) for one in place.get(id).tries]
    assert tries == [("primary", "accepted", "undelivered"), ("backup", "accepted", "delivered")]
    codes = place.codes()
    assert len(codes) == 2
    assert len(set(codes)) == 1


def test_a_handset_that_answers_stop_is_sent_nothing_more(make: Callable[..., Place]) -> None:
    place = make(profile="classic")
    with place.worker():
        place.start()
        until(place.codes)
        reply = {"account": "demo", "mobile": MOBILE, "content": "退订"}
        place.gateway.post("/api/replies", json=reply).raise_for_status()

        def is_blocked() -> bool:
            try:
                place.verifier.start(SHOP, StartRequest(to=MOBILE, purpose="signup"))
            except RecipientBlocked:
                return True
            except Exception:  # its cooldown
                return False
            return False

        until(is_blocked)


def test_a_pushed_report_says_delivered(make: Callable[..., Place]) -> None:
    place = make(profile="classic", reports="push", report_secret=SECRET)
    with place.api() as url, place.worker():
        place.account("demo", report_url=f"{url}/reports/primary", report_secret=SECRET)
        id = place.start()
        until(lambda: place.get(id).delivery is Delivery.DELIVERED)


def test_t57_pushes_that_are_not_the_gateway_s_are_refused_and_said_to_once(make: Callable[..., Place]) -> None:
    """T57."""
    place = make(profile="classic", reports="push", report_secret=SECRET)
    body = json.dumps({"statusbox": [{"mobile": MOBILE, "taskid": "7", "status": "10"}], "error": "1"}).encode()
    now = int(time.time())
    good = sign([SECRET], "m1", now, body)
    with capture_logs() as logs, place.api() as url, httpx.Client(base_url=url, trust_env=False) as http:

        def push(headers: dict[str, str], channel: str = "primary", content: bytes = body) -> httpx.Response:
            return http.post(f"/reports/{channel}", content=content, headers=headers)

        for headers in ({}, {"Authorization": f"Bearer {KEY.text}"}, sign([SECRET], "m1", now - 301, body)):
            refused = push(headers)
            assert (refused.status_code, refused.json()["problem"]) == (401, "unauthorized")
        assert push(good, content=body.replace(b"10", b"20")).status_code == 401
        assert push(good, "nobody").status_code == push({}, "nobody").status_code == 404
        assert push(good, content=b" " * (1024 * 1024 + 1)).status_code == 413
        assert http.get("/reports/primary").status_code == 405
        keys = place.verifier._store._line.client  # type: ignore[attr-defined]
        assert keys.xlen("otp:{reports}:heard") == 0
        taken = push(good)
        assert (taken.status_code, taken.json()["code"]) == (200, 0)
        assert keys.xlen("otp:{reports}:heard") == 1
    warnings = [line for line in logs if line["event"] == "a pushed report is refused"]
    assert sorted(line["channel"] for line in warnings) == ["primary", "unknown"]
    assert SECRET not in str(logs)
    assert MOBILE not in str(logs)


def test_t57_a_push_that_is_replayed_is_taken_and_changes_nothing(make: Callable[..., Place]) -> None:
    """T57: a gateway that missed our answer does the same."""
    place = make(profile="classic", reports="push", report_secret=SECRET)
    with place.api() as url, place.worker(), httpx.Client(base_url=url, trust_env=False) as http:
        id = place.start()
        until(lambda: place.get(id).delivery is Delivery.ACCEPTED)
        [only] = place.get(id).tries
        before = counted("duplicate")
        body = json.dumps({"statusbox": [{"mobile": MOBILE, "taskid": only.gateway_id, "status": "10"}]}).encode()
        headers = sign([SECRET], "m1", int(time.time()), body)
        for _ in range(2):
            assert http.post("/reports/primary", content=body, headers=headers).status_code == 200
        until(lambda: counted("duplicate") == before + 1)
    assert place.get(id).delivery is Delivery.DELIVERED
    assert len(place.codes()) == 1


@pytest.mark.parametrize("way", ["poll", "push"])
def test_a_protocol_without_reports_refuses_a_way_to_them(make: Callable[..., Place], way: str) -> None:
    place = make(profile="classic")
    mute = place.loaded.channels[0].model_copy(update={"reports": way})
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr("otp_service.channels.sms_aspx.SmsAspxChannel.reports")
        patch.delattr("otp_service.channels.sms_aspx.SmsAspxChannel.read_push")
        with pytest.raises(ConfigError, match=r'channels\.primary\.reports: protocol sms_aspx has "off"'):
            check_start(place.loaded.model_copy(update={"channels": (mute,)}), {})


def test_a_way_that_a_protocol_does_not_have_is_refused_at_the_start(make: Callable[..., Place]) -> None:
    with pytest.raises(ConfigError, match="miaodi"):
        make(profile="miaodi")
    with pytest.raises(ConfigError, match="report_secret"):
        make(reports="push")
