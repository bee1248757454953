"""F29, F35: more than can be served, and nothing left to serve with. Real processes; what took how long is printed."""

from __future__ import annotations

import http.client
import itertools
import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from otp_service.web.headroom import SENDS, Headroom
from tests.cli.processes import until
from tests.faults.checker import read_log
from tests.soak.callers import percentile, request_of
from tests.soak.flood import Flood, Heard, Plan
from tests.soak.plant import HOST, Burden, Plant

pytestmark = pytest.mark.slow

TIMES = 10
FLOOD_SECONDS = 4
CHECKS = 1000
_numbers = itertools.count(13_800_000_000)


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    with Plant(tmp_path_factory.mktemp("plant")) as plant:
        yield plant


class Starts:
    """Starts of numbers that nobody has used yet."""

    def __init__(self, plant: Plant, count: int) -> None:
        self.mobiles = [str(next(_numbers)) for _ in range(count)]
        asked = [{"to": f"+86{mobile}", "purpose": "login"} for mobile in self.mobiles]
        self.requests = [request_of("POST", "/v1/verifications", plant.key, one) for one in asked]

    def accepted(self, heard: Heard) -> dict[str, str]:
        """Mobile by verification."""
        told = zip(self.mobiles, heard.statuses, heard.bodies, strict=True)
        return {json.loads(body)["id"]: mobile for mobile, status, body in told if status == 201}


def ask(plant: Plant, request: bytes, connections: int = 1) -> int:
    return Flood(Plan(plant.ports[0], 1, [request], connections)).heard().statuses[0]


def start(plant: Plant) -> int:
    return ask(plant, Starts(plant, 1).requests[0])


def figures(what: str, seconds: list[float]) -> str:
    return f"{what} p50 {percentile(seconds, 0.5) * 1000:.1f} ms p99 {percentile(seconds, 0.99) * 1000:.1f} ms"


def test_ten_times_what_can_be_served_is_refused_and_checks_are_not(plant: Plant) -> None:
    """The worker goes on when it is over: it has no core of its own here. What is accepted is sent, if late."""
    port = plant.ports[0]
    plant.workers[0].tell(signal.SIGSTOP)
    before = Starts(plant, 2 * CHECKS)
    known = before.accepted(Flood(Plan(port, 1e6, before.requests, 8)).heard())
    checks = [
        request_of("POST", f"/v1/verifications/{id}/check", plant.key, {"code": plant.code_of(id)}) for id in known
    ]
    assert len(checks) == 2 * CHECKS
    rate = CHECKS / FLOOD_SECONDS
    calm = Flood(Plan(port, rate, checks[:CHECKS], 64)).heard()
    measured = Starts(plant, 1500)
    served = Flood(Plan(port, 1e6, measured.requests, 16)).heard()
    capacity = len(served.seconds_of(201)) / served.seconds

    offered = Starts(plant, int(TIMES * capacity * FLOOD_SECONDS))
    flood = Flood(Plan(port, TIMES * capacity, offered.requests))
    checked = Flood(Plan(port, rate, checks[CHECKS:], 64)).heard()
    heard = flood.heard()

    plant.workers[0].tell(signal.SIGCONT)
    print(f"F29: {capacity:.0f} starts/s can be served, {TIMES * capacity:.0f}/s asked for by 500 connections,")
    print(f"{heard.late} of {len(heard.statuses)} found all of these busy, {len(heard.seconds_of(201))} were served")
    print(figures("refused", heard.seconds_of(503)), figures("served", heard.seconds_of(201)), sep=", ")
    print(figures("checks before", calm.seconds_of(200)), figures("meanwhile", checked.seconds_of(200)), sep=", ")
    assert set(heard.statuses) == {201, 503}
    assert {wait for wait, status in zip(heard.retry_after, heard.statuses, strict=True) if status == 503} == {1, 2, 3}
    assert len(checked.seconds_of(200)) >= 0.999 * CHECKS
    accepted = [*offered.accepted(heard).values(), *measured.accepted(served).values(), *known.values()]
    _wait_for_sends(plant, set(accepted) - set(known.values()))
    sent = _sent(plant)
    assert len(sent) == len(set(sent))
    assert set(sent) <= set(accepted)


def _wait_for_sends(plant: Plant, mobiles: set[str]) -> None:
    """As long as some are sent: how many a second depends on who else has the machine."""
    unsent = mobiles

    def more_are() -> bool:
        time.sleep(1)  # to read what was sent takes the worker's time
        return len(mobiles - set(_sent(plant))) < len(unsent)

    while unsent:
        until(more_are, f"{len(unsent)} that were accepted are sent")
        unsent = mobiles - set(_sent(plant))


def _sent(plant: Plant) -> list[str]:
    return [line["mobile"] for line in read_log(plant.folder / "gateways.log") if line["event"] == "accepted"]


def half_of(plant: Plant, path: str, stack: ExitStack) -> None:
    """A request whose body does not end."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {plant.key}\r\n"
    line = stack.enter_context(socket.create_connection((HOST, plant.ports[0])))
    line.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{".encode())


def test_threads_that_all_wait_refuse_and_come_back(plant: Plant) -> None:
    """Bodies that stop half-way hold every place there is."""
    check = request_of("POST", "/v1/verifications/ver_0/check", plant.key, {"code": "123456"})
    live = request_of("GET", "/livez", plant.key)
    before, others = idle(plant), Headroom().others
    with ExitStack() as stack:
        for path, count in (("/v1/verifications", SENDS), ("/v1/verifications/ver_0/check", others)):
            for _ in range(count):
                half_of(plant, path, stack)
        until(lambda: start(plant) == 503, "starts are refused")
        until(lambda: ask(plant, check) == 503, "checks are refused")
        assert ask(plant, live) == 200
    until(lambda: (start(plant), ask(plant, check)) == (201, 404), "all is as before")
    until(lambda: idle(plant).sockets <= before.sockets + 8, "their connections are gone")


def idle(plant: Plant) -> Burden:
    return plant.apis[0].burden()


def told(caller: http.client.HTTPConnection, plant: Plant) -> int:
    """On the connection that it has."""
    body = json.dumps({"to": f"+86{next(_numbers)}", "purpose": "login"})
    headers = {"Authorization": f"Bearer {plant.key}", "Content-Type": "application/json"}
    caller.request("POST", "/v1/verifications", body, headers)
    answer = caller.getresponse()
    answer.read()
    return answer.status


def test_a_process_without_files_refuses_and_comes_back(tmp_path: Path) -> None:
    """Connections that say nothing take all the files that it may open."""
    with Plant(tmp_path, workers=0, files=96) as plant:
        caller = http.client.HTTPConnection(HOST, plant.ports[0])
        assert told(caller, plant) == 201
        before = idle(plant)
        with closing(caller), ExitStack() as stack:
            for _ in range(150):
                stack.enter_context(socket.create_connection((HOST, plant.ports[0])))
            until(lambda: idle(plant).files > before.files + 30, "they are taken")
            assert told(caller, plant) in (201, 503), "who is connected is answered"
        until(lambda: start(plant) == 201, "it serves again")
        until(lambda: idle(plant).files <= before.files + 8, "the files are free again")
