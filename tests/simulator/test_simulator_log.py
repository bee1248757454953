"""The append-only log that a checker of faults reads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from protocol_clients import TEXT, a_receiver, tencent, twilio, vonage
from simulator_helpers import NUMBER, Simulator
from simulator_helpers import TEXT as FAMILY_TEXT


@dataclass
class Logged:
    simulator: Simulator
    path: Path
    process: subprocess.Popen[str]

    def lines(self, event: str = "") -> list[dict[str, Any]]:
        found = [json.loads(line) for line in self.path.read_text("utf-8").splitlines()]
        return [line for line in found if not event or line["event"] == event]

    def awaited(self, event: str, many: int = 1) -> list[dict[str, Any]]:
        """What is logged once an answer has left comes a moment after the answer."""
        while len(self.lines(event)) < many:
            assert self.process.poll() is None
            time.sleep(0.01)
        return self.lines(event)


@pytest.fixture
def logged(tmp_path: Path) -> Iterator[Logged]:
    path = tmp_path / "gateway.jsonl"
    command = [sys.executable, "-m", "otp_service.simulator", "--port", "0", "--log", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        simulator = Simulator(process.stdout.readline().split()[1])
        try:
            yield Logged(simulator, path, process)
        finally:
            simulator.http.close()
            process.kill()


def test_a_message_is_received_accepted_and_answered(logged: Logged) -> None:
    task = logged.simulator.verdict()["taskID"]
    logged.awaited("answered")
    received, accepted, answered = logged.lines()
    assert [line["event"] for line in (received, accepted, answered)] == ["received", "accepted", "answered"]
    assert received["text_sha256"] == sha256(FAMILY_TEXT.encode()).hexdigest()
    for line in (received, accepted):
        named = (line["account"], line["protocol"], line["mobile"], line["code"])
        assert named == ("demo", "sms_aspx", NUMBER, "345678")
    assert accepted["taskid"] == task
    assert (answered["outcome"], answered["status"], answered["whole"]) == ("accepted", 200, True)
    assert {line["request"] for line in (received, accepted, answered)} == {1}
    assert received["monotonic"] <= accepted["monotonic"] <= answered["monotonic"]
    assert received["wall"].endswith("Z")


def test_a_refusal_is_logged_in_the_words_of_the_answer(logged: Logged) -> None:
    twilio(logged.simulator, "wrong")
    logged.simulator.send(password="wrong")
    first, second = logged.awaited("answered", 2)
    assert (first["outcome"], first["words"], first["status"]) == ("credentials", "20003 Authenticate", 401)
    assert (second["outcome"], second["words"], second["status"]) == ("credentials", "用户名或密码错误", 200)
    assert logged.lines("accepted") == []
    assert "wrong" not in logged.path.read_text("utf-8")


@pytest.mark.parametrize(("fault", "error"), [("hang", httpx.ReadTimeout), ("reset", httpx.ReadError)])
def test_an_answer_that_never_came_is_logged_as_what_it_was(logged: Logged, fault: str, error: type[Exception]) -> None:
    logged.simulator.account(fault={"name": fault})
    logged.simulator.http.timeout = httpx.Timeout(0.3)
    with pytest.raises(error):
        logged.simulator.send()
    logged.simulator.http.close()
    logged.simulator.http = httpx.Client(base_url=logged.simulator.url, trust_env=False)
    (answered,) = logged.awaited("answered")
    assert (answered["outcome"], answered["fault"], answered["status"]) == ("accepted", fault, fault)


def test_what_was_logged_survives_kill_9(logged: Logged) -> None:
    for _ in range(20):
        vonage(logged.simulator)
    os.kill(logged.process.pid, signal.SIGKILL)
    logged.process.wait()
    assert len(logged.lines("accepted")) == 20
    assert {line["text_sha256"] for line in logged.lines("received")} == {sha256(TEXT.encode()).hexdigest()}


def test_reports_are_logged_when_they_are_polled_and_pushed(logged: Logged) -> None:
    for name in ("demo", "demo-tencent", "demo-twilio"):
        logged.simulator.account(name, report_delay=0)
    with a_receiver() as receiver:
        twilio(logged.simulator, StatusCallback=receiver.url)
        receiver.next()
        tencent(logged.simulator)
        tencent(logged.simulator, "PullSmsSendStatus", Limit=10)
        logged.simulator.send()
        logged.simulator.reports()
        reports = logged.awaited("report", 3)
    found = {(line["protocol"], line["how"], line["state"], line.get("result")) for line in reports}
    assert found == {
        ("twilio", "pushed", "delivered", 200),
        ("tencent", "polled", "delivered", None),
        ("sms_aspx", "polled", "delivered", None),
    }


def test_nothing_is_pushed_beyond_this_machine(logged: Logged) -> None:
    logged.simulator.account("demo-twilio", report_delay=0)
    twilio(logged.simulator, StatusCallback="http://receiver.example/status")
    (line,) = logged.awaited("report")
    assert line["result"] == "forbidden"


def test_a_second_run_appends(logged: Logged) -> None:
    logged.simulator.send()
    command = [sys.executable, "-m", "otp_service.simulator", "--port", "0", "--log", str(logged.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        other = Simulator(process.stdout.readline().split()[1])
        other.send()
        other.http.close()
        process.terminate()
    assert len(logged.lines("accepted")) == 2


@pytest.mark.parametrize("module", [["otp_service.simulator"], ["otp_service.cli", "simulator"]])
def test_a_log_that_can_not_be_opened_is_one_line_and_exit_1(tmp_path: Path, module: list[str]) -> None:
    command = [sys.executable, "-m", *module, "--port", "0", "--log", str(tmp_path / "missing" / "file")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "--log" in done.stderr
