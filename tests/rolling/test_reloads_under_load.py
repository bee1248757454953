"""Reloads of running processes under load, at full size: keys that change, and what is left of what was replaced."""

from __future__ import annotations

import base64
import re
import secrets
import time

import pytest

from otp_service import config as configuration
from otp_service import wiring
from otp_service.cli.reloading import FORGET_SECONDS, LOOK_SECONDS
from tests.cli.processes import until
from tests.rolling.balancer import Balancer
from tests.rolling.fleet import Callers, Fleet

pytestmark = pytest.mark.slow

ROTATIONS = 4
RELOADS = 40
SPARE_CONNECTIONS = 8
"""By how many the connections of one process differ from one moment to the next under load."""


def new_key(kid: str) -> str:
    return f"{kid}:{base64.b64encode(secrets.token_bytes(32)).decode()}"


def write_keys(rolled: Fleet, keys: list[str]) -> None:
    path = rolled.there.config
    quoted = ", ".join(f'"{key}"' for key in keys)
    path.write_text(re.sub(r"(?m)^secret_keys = .*", f"secret_keys = [{quoted}]", path.read_text("utf-8")), "utf-8")


def test_keys_change_by_reload_and_refuse_nobody(rolled: Fleet) -> None:
    """F31: a key is appended, made the first, and the old one taken out, on one process after the other."""
    there = rolled.there
    keys = re.findall(r'secret_keys = \["(.+?)"\]', there.config.read_text("utf-8"))
    every, reloads = list(keys), 0
    balancer = Balancer(places=[api.place for api in rolled.apis])
    callers = Callers(there, balancer.port, rolled.key)
    with balancer.running():
        until(lambda: len(balancer.ready) == 2, "both get requests")
        with callers.running():
            callers.until_more(50)
            for n in range(ROTATIONS):
                old, new = every[-1], new_key(f"r{n}")
                every.append(new)
                for keys in ([old, new], [new, old], [new]):
                    write_keys(rolled, keys)
                    for process in (*rolled.apis, *rolled.workers):
                        rolled.reload(process)
                        reloads += 1
                        callers.until_more(10)
                    # The old key goes when what it made is over.
                    callers.until_all_began_anew()
        there.until_nothing_is_left()
    write_keys(rolled, every[::-1])
    there.verifier = wiring.build_verifier(configuration.load(there.config, {}))
    checker = there.checker()
    print(
        f"F31 by reload: rotations {ROTATIONS}, reloads {reloads}, {checker.totals()}, checks {callers.checks}, "
        f"refused {len(callers.wrong)}, broken {len(balancer.broken)}"
    )
    assert callers.wrong == balancer.broken == checker.violations() == []


def test_what_was_replaced_keeps_no_connection_to_redis(rolled: Fleet) -> None:
    there = rolled.there
    callers = Callers(there, rolled.apis[0].place.port, rolled.key)
    reloaded = (rolled.apis[0], rolled.workers[0])

    def connections() -> int:
        return len(there.redis.client_list())

    with callers.running():
        for process in reloaded:
            rolled.reload(process)
        time.sleep(FORGET_SECONDS + 2 * LOOK_SECONDS)
        before, seen = connections(), [0]
        for _ in range(RELOADS):
            for process in reloaded:
                rolled.reload(process)
            callers.until_more(5)
            seen.append(connections())
        until(lambda: connections() <= before + SPARE_CONNECTIONS, "the old connections are closed")
        callers.until_more(50)
        after = connections()
    print(f"reloads {2 * RELOADS}: connections before {before}, at the most {max(seen)}, after {after}")
    assert after <= before + SPARE_CONNECTIONS
    assert callers.wrong == []
