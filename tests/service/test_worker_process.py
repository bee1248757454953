"""The worker as a process: killed in the middle of a try, asked to stop, and without its Redis."""

from __future__ import annotations

import base64
import re
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otp_service import config as configuration
from otp_service import wiring
from otp_service.policy import Client
from otp_service.verification import Delivery, Verification
from otp_service.verifier import StartRequest, Verifier
from tests.cli.processes import PATIENCE, free_port
from tests.faults.hands import all_asleep
from tests.raw_gateway import RawGateway, http_answer
from tests.world import Server

SHOP = Client("shop", frozenset({"login"}))
SUCCESS = http_answer(body=b"<returnsms><returnstatus>Success</returnstatus><taskID>9339</taskID></returnsms>")
_CONFIG = """
[service]
secret_keys = ["a:{secret}"]
fingerprint_key = "{fingerprint}"
default_region = "CN"
admin_bind = "127.0.0.1:{admin}"
[redis]
url = "{redis}"
{channels}
"""
_CHANNEL = """
[[channels]]
name = "{name}"
protocol = "sms_aspx"
url = "http://{host}/sms.aspx"
account = "demo"
password = "demo"
signature = "今信科技"
answer_within = 9
deadline = 10
"""


@dataclass
class Deployment:
    """A configuration of two channels, and the verifier of an API beside it."""

    path: Path
    verifier: Verifier

    def start(self) -> str:
        return self.verifier.start(SHOP, StartRequest(to="13800138000", purpose="login")).verification.id

    def get(self, id: str) -> Verification:
        return self.verifier.get(SHOP, id)

    @contextmanager
    def worker(self) -> Iterator[subprocess.Popen[bytes]]:
        command = [sys.executable, "-m", "otp_service.cli", "worker", "--config", str(self.path)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                yield process
            finally:
                process.kill()


def deployment(folder: Path, redis_url: str, gateways: list[RawGateway]) -> Deployment:
    path = folder / "otp.toml"
    channels = [_CHANNEL.format(name=f"c{n}", host=gateway.host) for n, gateway in enumerate(gateways)]
    secret, fingerprint = (base64.b64encode(secrets.token_bytes(32)).decode() for _ in range(2))
    path.write_text(
        _CONFIG.format(
            secret=secret, fingerprint=fingerprint, admin=free_port(), redis=redis_url, channels="".join(channels)
        ),
        "utf-8",
    )
    return Deployment(path, wiring.build_verifier(configuration.load(path, {})))


def until(holds: Callable[[], Any]) -> None:
    """Wait for what must come; the bound is generous, and only a failure reaches it."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def never_answers(line: socket.socket) -> None:
    """The line stays open; `RawGateway` closes it in the end."""


def answers(line: socket.socket) -> None:
    line.sendall(SUCCESS)


def code_in(gateway: RawGateway) -> str:
    """The minutes beside it may differ: they are those left."""
    return re.findall(r"[0-9]{6}", gateway.forms()[0]["content"])[0]


def test_what_a_killed_worker_had_begun_is_called_unknown_and_goes_on_with_the_same_code_elsewhere(
    tmp_path: Path, real_server: Server
) -> None:
    """F01 at the point where the request has left, F23: at most one SMS a channel, the same code in both."""
    with RawGateway(never_answers) as silent, RawGateway(answers) as well:
        there = deployment(tmp_path, real_server.url, [silent, well])
        with there.worker() as first:
            id = there.start()
            assert silent.asked.wait(20)
            first.kill()
            first.wait()
        assert there.get(id).delivery is Delivery.TRYING
        all_asleep(real_server.client)
        with there.worker():
            until(lambda: there.get(id).delivery is Delivery.ACCEPTED)
            until(lambda: not any(map(real_server.client.xlen, real_server.client.keys("*:outbox"))))
        tries = there.get(id).tries
        assert [(one.channel, one.outcome) for one in tries] == [("c0", "unknown"), ("c1", "accepted")]
        assert len(silent.requests) == len(well.requests) == 1
        assert code_in(silent) == code_in(well)


def test_a_worker_that_is_asked_to_stop_finishes_what_it_began(tmp_path: Path, real_server: Server) -> None:
    asked_to_stop = threading.Event()

    def slow(line: socket.socket) -> None:
        asked_to_stop.wait(20)
        time.sleep(0.2)
        line.sendall(SUCCESS)

    with RawGateway(slow) as gateway:
        there = deployment(tmp_path, real_server.url, [gateway])
        with there.worker() as process:
            id = there.start()
            assert gateway.asked.wait(20)
            process.terminate()
            asked_to_stop.set()
            assert process.wait(20) == 0
        assert there.get(id).delivery is Delivery.ACCEPTED
        assert len(gateway.requests) == 1


def test_what_is_queued_while_no_worker_runs_is_delivered_by_the_next_one(tmp_path: Path, real_server: Server) -> None:
    with RawGateway(answers) as gateway:
        there = deployment(tmp_path, real_server.url, [gateway])
        id = there.start()
        with there.worker():
            until(lambda: there.get(id).delivery is Delivery.ACCEPTED)
        assert len(gateway.requests) == 1
