"""F30 with real processes: every one of a fleet is replaced, again and again, and no caller and no send notices."""

from __future__ import annotations

import http.client
import time

import pytest

from otp_service.config.sections import DRAIN_SECONDS
from tests.cli.processes import PATIENCE, until
from tests.rolling.balancer import Balancer, Service
from tests.rolling.fleet import Callers, Fleet

pytestmark = pytest.mark.slow

ROUNDS = 5
"""In each, every process is replaced once."""
PRE_STOP_SECONDS = 5.0
"""`preStop` of deploy/kubernetes.yaml."""
PROPAGATION_SECONDS = 1.0
"""Until every node of a cluster has heard that a pod gets no new connections."""
BALANCERS_KEEP_SECONDS = 60.0
"""nginx's `keepalive_timeout` to an upstream and the idle timeout of AWS's, unless they are told otherwise."""


def finish(name: str, rolled: Fleet, callers: Callers, broken: int) -> None:
    there = rolled.there
    there.until_nothing_is_left()
    checker = there.checker()
    longest = {role: f"{max(drains):.1f} s" for role, drains in rolled.drains.items() if drains}
    rolls = sum(map(len, rolled.drains.values()))
    print(
        f"F30 {name}: rolls {rolls}, {checker.totals()}, checks {callers.checks}, failed {len(callers.wrong)}, "
        f"broken {broken}, longest drain {longest}"
    )
    assert callers.wrong == []
    assert checker.violations() == []
    assert checker.totals().lost == 0
    assert all(drain <= DRAIN_SECONDS for drains in rolled.drains.values() for drain in drains)


def test_no_caller_behind_a_balancer_notices_a_roll(rolled: Fleet) -> None:
    """A process is gone before the next one is there: half of the fleet serves meanwhile."""
    balancer = Balancer(places=[api.place for api in rolled.apis])
    callers = Callers(rolled.there, balancer.port, rolled.key)

    def until_both_are_asked() -> None:
        places = balancer.places = [api.place for api in rolled.apis]
        until(lambda: set(balancer.ready) == set(places), "both get requests")

    with balancer.running():
        until_both_are_asked()
        with callers.running():
            callers.until_more(50)
            for _ in range(ROUNDS):
                for _ in range(2):
                    rolled.end("serve", rolled.apis[0])
                    rolled.ready("serve")
                    until_both_are_asked()
                    # As it stops, the gateway makes it wait.
                    rolled.there.set_fault("c0", "hang", next=5)
                    callers.until_more(10)
                    rolled.end("worker", rolled.workers[0])
                    rolled.ready("worker")
                    callers.until_more(20)
        finish("balancer", rolled, callers, len(balancer.broken))
    assert balancer.broken == []


def test_no_caller_of_a_kubernetes_service_notices_a_roll(rolled: Fleet) -> None:
    """As kubernetes does it: the new pod is ready first; the old one gets no new connections, and the signal after its
    preStop. Callers hold on to their connections meanwhile, and some say nothing for longer than the grace."""
    service = Service(ready=[api.place for api in rolled.apis])
    callers = Callers(rolled.there, service.port, rolled.key, callers=20, pauses=(6.0, 6.0, 6.0, 0.1))
    with service.running(), callers.running():
        callers.until_more(50)
        for _ in range(2 * ROUNDS):
            old, new = rolled.apis[0], rolled.ready("serve")
            deleted = time.monotonic()
            service.ready = [api.place for api in rolled.apis]
            time.sleep(PROPAGATION_SECONDS)
            service.ready = [api.place for api in rolled.apis if api is not old]
            time.sleep(deleted + PRE_STOP_SECONDS - time.monotonic())
            assert new.is_ready()
            rolled.end("serve", old)
            leaving = rolled.workers[0]
            rolled.ready("worker")
            rolled.end("worker", leaving)
    finish("service", rolled, callers, 0)


def test_a_connection_stays_open_for_longer_than_balancers_keep_one(rolled: Fleet) -> None:
    """Who closes first closes some just as a request comes."""
    place = rolled.apis[0].place
    kept = http.client.HTTPConnection("127.0.0.1", place.port, timeout=PATIENCE)
    kept.connect()
    kept.auto_open = 0  # else it would connect anew and say nothing
    for rest in (0.0, BALANCERS_KEEP_SECONDS + 1):
        time.sleep(rest)
        kept.request("GET", "/livez")
        answer = kept.getresponse()
        assert (answer.status, bool(answer.read())) == (200, True)
    kept.close()
