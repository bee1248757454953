"""What operators are shown while one of three masters is dead: all that the others have, and what is missing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from otp_service import wiring
from otp_service.keyring import PARTITIONS
from otp_service.verifier import StartRequest
from tests.cluster.cluster_world import number
from tests.cluster.desk import APP, Desk
from tests.cluster.nodes import Cluster, Node, slot_of
from tests.world import KEYS

pytestmark = pytest.mark.slow

DEAD = 0
"""Of the three, by their share of the slots: pauses and one channel lie there, and the audit trail does not."""


COUNT = 60
"""Verifications, and so partitions of all masters."""


@contextmanager
def dead(masters: Cluster) -> Iterator[Node]:
    gone = masters.nodes[DEAD]
    gone.kill()
    try:
        yield gone
    finally:
        gone.begin()
        masters.until_ok()


Begun = dict[bool, list[tuple[str, str]]]


@pytest.fixture
def there(desk: Desk, masters: Cluster, capsys: pytest.CaptureFixture[str]) -> Iterator[Begun]:
    """Numbers and ids of what began while all was well; by whether its master is dead now."""
    verifier, keyring, begun = desk.verifier(), wiring.build_keyring(desk.config), Begun()
    for to in map(number, range(COUNT)):
        id = verifier.start(APP, StartRequest(to, "login")).verification.id
        parsed = keyring.parse_id(id)
        assert parsed
        is_lost = masters.owner_of(slot_of(KEYS.outbox(parsed.partition))) is masters.nodes[DEAD]
        begun.setdefault(is_lost, []).append((to, id))
    capsys.readouterr()  # what so many starts made the guard say is none of a command's
    with dead(masters):
        yield begun


def partitions_of(masters: Cluster) -> int:
    """Of the dead one."""
    owners = [masters.nodes[1].owner_of(slot_of(KEYS.outbox(partition))) for partition in range(PARTITIONS)]
    return owners.count(masters.nodes[DEAD].port)


def test_status_shows_the_part_that_answers_and_says_what_is_missing(
    desk: Desk, there: Begun, masters: Cluster
) -> None:
    said = desk("status")
    assert desk.command.status == 1
    assert "redis\tin part\tmaster" in said
    assert f"queue\t{len(there[False])}\t" in said
    assert f"unknown\tsends that wait of {partitions_of(masters)} of 32 partitions" in said
    assert "unknown\tpauses of sends" in said
    assert "trouble\tRedis: the master 127.0.0.1:" in said
    assert "this is not in what stands above: sends that wait of" in said
    shown = desk.json("status")
    assert shown["queue"]["depth"] == len(there[False])
    assert f"prefixes that look pumped of {partitions_of(masters)} of 32 partitions" in shown["unknown"]


def test_a_trace_shows_what_lives_and_names_the_master_of_what_does_not(
    desk: Desk, there: Begun, masters: Cluster
) -> None:
    to, id = there[False][0]
    for asked in (to, id):
        shown = desk.json("trace", asked)
        assert [one["id"] for one in shown["verifications"]] == [id]
        assert "pauses of sends" in shown["unknown"]
        assert desk.command.status == 1
        assert "unknown\tpauses of sends" in desk("trace", asked)
        assert "nothing refuses" not in desk("trace", asked)
    for asked in there[True][0]:
        assert desk("trace", asked) == ""
        assert desk.command.status == 1
        assert f"the master 127.0.0.1:{masters.nodes[DEAD].port} does not answer, so" in desk.command.err


def test_an_export_that_is_not_whole_says_so_and_fails(desk: Desk, there: Begun, masters: Cluster) -> None:
    name = f"127.0.0.1:{masters.nodes[DEAD].port}"
    to, id = there[False][0]
    whole = json.loads(desk("recipients", "export", to, "--json"))
    assert (whole["complete"], desk.command.status) == (False, 1)
    assert [one["id"] for one in whole["verifications"]] == [id]
    assert f"what may be on its way to or from the master {name}" in whole["unknown"]
    said = desk("recipients", "export", to)
    assert "incomplete\twhat may be on its way" in said
    assert "incomplete: what may be on its way" in desk.command.err
    assert desk.json("audit")[-1]["outcome"].startswith("done in part: 1 verifications")
    for to, _ in (there[True][0], there[True][1]):
        assert desk("recipients", "export", to) == ""
        assert desk.command.status == 1
        assert name in desk.command.err


def test_an_erasure_waits_for_all_masters(desk: Desk, there: Begun, masters: Cluster) -> None:
    to, id = there[False][0]
    assert desk("recipients", "erase", to) == ""
    assert desk.command.status == 1
    assert f"the master 127.0.0.1:{masters.nodes[DEAD].port} does not answer, so" in desk.command.err
    assert [one["id"] for one in desk.json("trace", id)["verifications"]] == [id]


def test_what_lies_on_masters_that_live_can_be_acted_on(desk: Desk, there: Begun) -> None:
    to, _ = there[False][1]
    desk("recipients", "suppress", to)
    assert desk.command.status == 0
    desk("limits", "clear", to)
    assert desk.command.status == 0
    assert json.loads(desk("limits", "show", to, "--json"))["limits"]


def test_all_is_whole_again_once_the_master_is_back(desk: Desk, masters: Cluster) -> None:
    id = desk.start()
    with dead(masters):
        pass
    shown = desk.json("recipients", "export", "13800138000")
    assert (shown["complete"], shown["unknown"], desk.command.status) == (True, [], 0)
    assert [one["id"] for one in shown["verifications"]] == [id]
    assert desk.json("status")["unknown"] == []
