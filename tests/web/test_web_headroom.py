"""F29: what is refused while enough is in work, and what is not. The verifier is held, so nothing depends on speed."""

from __future__ import annotations

import io
import queue
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait

import pytest
from fake_verifier import FakeVerifier
from structlog.testing import capture_logs
from werkzeug.test import EnvironBuilder

from otp_service import metrics
from otp_service.api_keys import ClientKeys, new_key
from otp_service.cli.serve import serve
from otp_service.policy import Client
from otp_service.store.connection import POOL_SIZE
from otp_service.web import headroom
from otp_service.web.app import create_app
from otp_service.web.headroom import Headroom, _Places
from otp_service.web.service import Service
from otp_service.web.shedding import Shedding
from otp_service.web.trace import Trace

SENDS, THREADS = 3, 20
WAITING = THREADS * 5 // 8 - SENDS
OTHERS = THREADS - SENDS - WAITING - THREADS // 8
START = "/v1/verifications"
RESEND, CHECK = f"{START}/ver_1/resend", f"{START}/ver_1/check"
BODY = {START: {"to": "+8613800138000", "purpose": "login"}, RESEND: {}, CHECK: {"code": "345678"}}
PATIENCE = 30


class Held(FakeVerifier):
    """It begins each call of the named kinds, and ends none before it is told to."""

    def __init__(self, *kinds: str) -> None:
        super().__init__()
        self.began = threading.Semaphore(0)
        self.go_on = threading.Event()
        for kind in kinds:
            setattr(self, kind, self._held(getattr(self, kind)))

    def _held(self, call):
        def held(*arguments):
            self.began.release()
            assert self.go_on.wait(PATIENCE)
            return call(*arguments)

        return held


class Asked:
    """An application with callers on threads of their own."""

    def __init__(self, *held: str, sends: int = SENDS, threads: int = THREADS, **more) -> None:
        self.verifier, key = Held(*held), new_key()
        self.key = key.text
        keys = ClientKeys([(Client("shop", frozenset({"login"})), [key.hash])])
        service = Service(self.verifier, keys, lambda: False, "1")
        self.app = create_app(service, Headroom(sends, threads, **more))
        self.pool = ThreadPoolExecutor(THREADS * 2)
        self.waiting: list[Future] = []

    def __call__(self, path, method="POST"):
        headers = {"Authorization": f"Bearer {self.key}"}
        return self.app.test_client().open(path, method=method, json=BODY.get(path), headers=headers)

    def hold(self, path, count):
        """So many are in work when this returns."""
        self.waiting += [self.pool.submit(self, path) for _ in range(count)]
        for _ in range(count):
            assert self.verifier.began.acquire(timeout=PATIENCE)

    def let_go(self):
        self.verifier.go_on.set()
        done, left = wait(self.waiting, PATIENCE)
        assert not left
        return [one.result().status_code for one in done]

    def close(self):
        self.verifier.go_on.set()
        self.pool.shutdown()


@pytest.fixture
def asked():
    made = []

    def make(*held, **more):
        made.append(Asked(*held, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def shed(call):
    return metrics.SHED.labels(call)._value.get()


def test_a_burst_of_more_sends_than_there_are_places_for_waits_and_is_served(asked):
    service, before = asked("start", burst=PATIENCE), shed("send")
    service.hold(START, SENDS)
    service.waiting += [service.pool.submit(service, START) for _ in range(THREADS)]
    assert service.let_go() == [201] * (SENDS + THREADS)
    assert shed("send") == before


def test_sends_wait_no_longer_than_for_a_burst_until_there_is_room_again(asked):
    now = [0.0]
    service = asked("start", burst=0.01, clock=lambda: now[0])
    service.hold(START, SENDS)
    assert service(START).status_code == 503
    now[0] = 1.0
    assert [service(START).status_code for _ in range(3)] == [503] * 3
    assert service.let_go() == [201] * SENDS
    assert service(START).status_code == 201


@pytest.mark.parametrize("path", [START, RESEND])
def test_a_send_beyond_those_in_work_is_refused_and_checks_and_probes_are_not(asked, path):
    service, before = asked("start"), shed("send")
    service.hold(START, SENDS)
    refused = service(path)
    assert (refused.status_code, refused.json["problem"]) == (503, "unavailable")
    assert refused.headers["Retry-After"] == str(refused.json["retry_after"])
    assert 1 <= refused.json["retry_after"] <= 3
    assert shed("send") == before + 1
    assert service(CHECK).status_code == 200
    assert [service(path, "GET").status_code for path in ("/livez", "/readyz", f"{START}/ver_1")] == [200] * 3
    assert service.let_go() == [201] * SENDS
    assert service(START).status_code == 201


def test_those_who_are_refused_together_are_told_different_times(asked):
    service = asked("start")
    service.hold(START, SENDS)
    assert {service(START).headers["Retry-After"] for _ in range(3)} == {"1", "2", "3"}


def test_what_is_refused_writes_no_line_of_its_own_and_has_an_id(asked):
    service = asked("start")
    service.hold(START, SENDS)
    with capture_logs() as lines:
        ids = {service(START).headers["X-Request-Id"] for _ in range(5)}
    assert len(ids) == 5
    assert {line["event"] for line in lines} == {"shed"}


def test_refusals_are_told_of_once_a_second():
    """Ten times what can be served is refused by the process that serves: a line for each would be paid by those."""
    now = [0.0]
    shedding = Shedding(lambda: now[0])

    def refuse(path, times):
        for _ in range(times):
            assert shedding.refuse(Trace("id", "POST"), path).status == 503

    with capture_logs() as lines:
        refuse(START, 100)
        now[0] = 1.5
        refuse(CHECK, 2)
    assert lines == [
        {"event": "shed", "log_level": "warning", "send": 1},
        {"event": "shed", "log_level": "warning", "send": 99, "check": 1},
    ]


def test_what_is_refused_has_not_been_read(asked):
    service = asked("start")
    service.hold(START, SENDS)

    class Unread(io.BytesIO):
        def read(self, size=-1):
            raise AssertionError("its body was read")

    told = []
    environ = EnvironBuilder(START, method="POST", data=b"{}").get_environ() | {"wsgi.input": Unread()}
    service.app(environ, lambda status, headers, info=None: told.append(status))
    assert told == ["503 Service Unavailable"]


def test_checks_that_all_wait_leave_threads_for_probes_and_refusals(asked):
    """A silent Redis: whoever comes beyond those who wait for it is told so at once."""
    now = [1.0]
    service, before = asked("check", stall=0.01, clock=lambda: now[0]), shed("check")
    service.hold(CHECK, OTHERS)
    first = service.pool.submit(service, CHECK)
    assert first.result(PATIENCE).status_code == 503, "none of them has ended while it waited"
    now[0] += 0.01
    assert service(CHECK).status_code == 503
    assert shed("check") == before + 2
    assert [service(path).status_code for path in (START, RESEND)] == [201, 200]
    assert [service(path, "GET").status_code for path in ("/livez", "/readyz")] == [200, 200]
    assert service.let_go() == [200] * OTHERS
    assert service(CHECK).status_code == 200


def test_a_check_waits_for_a_place_while_checks_are_quick(asked):
    """A disk that is slow to sync, or a core that others take for a moment, costs nobody his check."""
    service, before = asked("check", stall=PATIENCE), shed("check")
    service.hold(CHECK, OTHERS)
    late = service.pool.submit(service, CHECK)
    assert service.let_go() == [200] * OTHERS
    assert late.result(PATIENCE).status_code == 200
    assert shed("check") == before


class Overtaken(queue.SimpleQueue):
    """Whoever waits finds so many times that a place was given back, and that somebody else was faster."""

    times = 0
    places: _Places

    def get(self, block=True, timeout=None):
        self.places.give_back()
        if not self.times:
            return super().get(block, PATIENCE)
        self.times -= 1
        self.get_nowait()
        raise queue.Empty


@pytest.mark.parametrize("times", [0, 1, 4])
def test_a_check_waits_on_while_others_end_however_slow_all_are(times):
    """A core that is shared with too many serves all late, and none of them not at all."""
    overtaken(times).take()


def test_no_check_waits_for_ever():
    with pytest.raises(queue.Empty):
        overtaken(5).take()


def overtaken(times):
    places = _Places(0, THREADS, PATIENCE, time.monotonic, times=5)
    free = places._free = Overtaken()
    free.times, free.places = times, places
    return places


def test_a_call_that_fails_gives_its_place_back(asked):
    service = asked(sends=1)
    service.verifier.refusal = ValueError("a mistake of ours")
    assert [service(START).status_code for _ in range(3)] == [500] * 3
    service.verifier.refusal = None
    assert service(START).status_code == 201


def test_no_thread_waits_for_a_connection_of_another():
    """F35: as many threads as `serve` takes, each with a call under way, and the pool has one for each."""
    threads = next(option for option in serve.params if option.name == "threads")
    assert threads.default == headroom.THREADS
    assert threads.type.max <= POOL_SIZE


def test_with_few_threads_none_is_refused_as_all_that_wait_do_so_outside(asked):
    service = asked("start", threads=4)
    service.hold(START, 3)
    assert service(CHECK).status_code == 200
    assert service.let_go() == [201] * 3
