"""An installation for faults: a simulator that keeps its log, workers as processes, a client that keeps one too."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import redis

from otp_service import config as configuration
from otp_service import wiring
from otp_service.errors import CodeMismatch, OtpServiceError, Unavailable
from otp_service.policy import Client
from otp_service.verification import Verification
from otp_service.verifier import CheckRequest, Idempotency, StartRequest, Verifier
from tests.cli.processes import environment, free_port
from tests.faults.checker import Caps, Checker, Left, Line, read_log
from tests.world import Server

SHOP = Client("shop", frozenset({"login"}))
DEADLINE = 2.0
"""Seconds of each channel: a gateway that hangs costs so many, and no other is as slow on a busy machine."""
LEFT_SECONDS = 60.0
"""Until then whatever a dead worker left is done by others; only a failure takes so long."""
_CONFIG = """
[service]
secret_keys = ["a:{secret}"]
fingerprint_key = "{fingerprint}"
default_region = "CN"
admin_bind = "127.0.0.1:{admin}"
[redis]
url = "{redis}"
{more}
"""
UNLIMITED = """[limits]
client_ip = []
prefix = []
recipient = []
spray_brake = false
[pumping]
mode = "off"
"""
CHANNEL = """
[[channels]]
name = "{name}"
protocol = "sms_aspx"
url = "{url}sms.aspx"
account = "{name}"
password = "demo"
signature = "今信科技"
answer_within = 1.9
deadline = {deadline}
"""
CHANNELS = ("c0", "c1")


@dataclass
class Installation:
    folder: Path
    redis: redis.Redis
    gateway: httpx.Client
    config: Path
    verifier: Verifier
    ids: dict[str, str] = field(default_factory=dict)
    """Mobile by verification."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    # --- the client -----------------------------------------------------------------------------------------------

    def start(self, number: int) -> str:
        mobile = f"1380{number:07d}"
        seen = self.verifier.start(SHOP, StartRequest(to=mobile, purpose="login")).verification
        dies = time.monotonic() + (seen.expires_at - seen.now) / 1000
        self.ids[seen.id] = mobile
        self.note("start", id=seen.id, send=seen.sends, mobile=mobile, dies=dies)
        return seen.id

    def check(self, id: str, code: str, key: str = "") -> str:
        facts: dict[str, Any] = {"answer": "ended", "token": "", "replayed": False}
        once = Idempotency(key, f"/v1/verifications/{id}/check", code.encode()) if key else None
        try:
            checked = self.verifier.check(SHOP, id, CheckRequest(code=code), once)
            facts = {"answer": "approved", "token": checked.token, "replayed": checked.replayed}
        except CodeMismatch:
            facts["answer"] = "mismatch"
        except Unavailable:
            facts["answer"] = "error"
        except OtpServiceError:
            pass  # it is over
        self.note("check", id=id, key=key, **facts)
        return str(facts["answer"])

    def get(self, id: str) -> Verification:
        seen = self.verifier.get(SHOP, id)
        self.note("state", id=id, sends=seen.sends, delivery=seen.delivery, status=seen.status)
        return seen

    def approve_all(self, after: int = 0) -> None:
        """Everybody types the code that reached them, but for so many who began first."""
        codes = {line["mobile"]: line["code"] for line in self.accepted()}
        for id, mobile in list(self.ids.items())[after:]:
            if mobile in codes:
                self.check(id, codes[mobile], key=id)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Somebody looks at every verification again and again meanwhile."""
        over = threading.Event()

        def look() -> None:
            while not over.wait(0.02):
                for id in list(self.ids)[-8:]:
                    self.get(id)

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def note(self, event: str, **facts: Any) -> None:
        with self._lock, (self.folder / "clients.log").open("a", encoding="utf-8") as log:
            log.write(json.dumps({"event": event, **facts}) + "\n")

    # --- gateways and workers -------------------------------------------------------------------------------------

    def accepted(self) -> list[Line]:
        return [line for line in read_log(self.folder / "gateways.log") if line["event"] == "accepted"]

    def set_fault(self, account: str, name: str | None, **more: Any) -> None:
        fault = {"fault": None if name is None else {"name": name, **more}}
        assert self.gateway.put(f"/api/accounts/{account}", json=fault).status_code == 200

    @contextlib.contextmanager
    def worker(self) -> Iterator[subprocess.Popen[bytes]]:
        command = [sys.executable, "-m", "otp_service.cli", "worker", "--config", str(self.config)]
        with subprocess.Popen(
            command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    @contextlib.contextmanager
    def doomed(self) -> Iterator[Callable[[str], None]]:
        """What makes a worker that works until it comes to a named point, and there is killed."""
        command = [sys.executable, "-m", "tests.faults.doomed_workers", str(self.config)]
        with subprocess.Popen(
            command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as maker:
            asked, said = maker.stdin, maker.stdout
            assert asked is not None
            assert said is not None

            def kill_at(point: str) -> None:
                asked.write(point + "\n")
                asked.flush()
                assert said.readline() == "9\n", f"no worker came to {point}"
                self.note("kill", point=point)

            try:
                yield kill_at
            finally:
                asked.close()

    # --- the end --------------------------------------------------------------------------------------------------

    def left(self) -> Left:
        outboxes, later = self.redis.keys("*:outbox"), self.redis.keys("*:later")
        return Left(
            entries=sum(self.redis.xlen(key) for key in outboxes),
            pending=sum(group["pending"] for key in outboxes for group in self.redis.xinfo_groups(key)),
            later=sum(self.redis.zcard(key) for key in later),
        )

    def until_nothing_is_left(self) -> None:
        end = time.monotonic() + LEFT_SECONDS
        while (left := self.left()) != Left():
            assert time.monotonic() < end, f"it is never done: {left}"
            time.sleep(0.05)

    def checker(self) -> Checker:
        finals = {id: self.get(id) for id in self.ids}
        logs = (read_log(self.folder / f"{name}.log") for name in ("gateways", "clients"))
        return Checker(*logs, finals, self.left(), Caps(grace=DEADLINE))


@contextlib.contextmanager
def installation(folder: Path, server: Server, redis: str = "") -> Iterator[Installation]:
    """`redis`: more lines of that table."""
    command = [sys.executable, "-m", "otp_service.simulator", "--port", "0", "--log", str(folder / "gateways.log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as simulator:
        assert simulator.stdout is not None
        url = simulator.stdout.readline().removeprefix("simulator ").strip()
        assert re.fullmatch(r"http://[0-9.:]+/", url)
        try:
            with httpx.Client(base_url=url, trust_env=False) as gateway:
                for name in CHANNELS:
                    account = {"protocol": "sms_aspx", "number_faults": False}
                    assert gateway.put(f"/api/accounts/{name}", json=account).status_code == 200
                config = config_file(folder, server.url, url, redis)
                verifier = wiring.build_verifier(configuration.load(config, {}))
                yield Installation(folder, server.client, gateway, config, verifier)
        finally:
            simulator.terminate()


def config_file(folder: Path, redis_url: str, gateway_url: str, redis: str = "") -> Path:
    secret, fingerprint = (base64.b64encode(secrets.token_bytes(32)).decode() for _ in range(2))
    common = _CONFIG.format(secret=secret, fingerprint=fingerprint, admin=free_port(), redis=redis_url, more=redis)
    channels = [CHANNEL.format(name=name, url=gateway_url, deadline=DEADLINE) for name in CHANNELS]
    path = folder / "otp.toml"
    path.write_text(common + UNLIMITED + "".join(channels), "utf-8")
    return path
