"""Where commands go, and go again: `ClusterLane` before masters that say what a test wants."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis
from redis.crc import key_slot
from redis.exceptions import AskError, ClusterDownError, MovedError, ResponseError, TryAgainError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from otp_service.ports import StoreDown
from otp_service.store.cluster import Cluster
from otp_service.store.cluster_lane import ClusterLane, slot_of
from otp_service.store.cluster_nodes import Master
from otp_service.store.parts import in_parts
from otp_service.store.wire import packed

EVER = 30.0
"""Seconds: longer than any of these tests asks again."""
A, B, C = "{nbd}:a", "{ope}:b", "{cup}:c"
"""Keys of three slots, which three masters have."""


def get(key: str) -> tuple[str, str]:
    return "GET", key


@dataclass
class FakeLane:
    """Answers with its name, or with what it is told to; an error that is no refusal is a lost connection."""

    name: str
    answers: list[Any] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    dropped: int = 0

    def send(self, commands: bytes) -> object:
        self.sent.append(commands)
        return object()

    def read(self, connection: object, replies: int) -> list[Any]:
        read = [self.answers.pop(0) if self.answers else self.name for _ in range(replies)]
        for reply in read:
            if isinstance(reply, RedisConnectionError | RedisTimeoutError):
                raise reply
        return read

    def drop(self, connection: object) -> None:
        self.dropped += 1


class FakeNodes:
    def __init__(self) -> None:
        self.lanes = {name: FakeLane(name) for name in "xyz"}
        self.table = dict(zip(map(_slot, (A, B, C)), "xyz", strict=True))
        self.looks = 0
        self.gone: list[tuple[str, bool]] = []
        self.heard: list[str] = []
        self.learns: Callable[[], None] = lambda: None
        """What a look brings to light."""

    def of(self, slot: int | None, but: Collection[str] = ()) -> Any:
        return self._master(max(set("xyz") - set(but)) if slot is None else self.table[slot])

    def count(self) -> int:
        return len(self.lanes)

    def at(self, said: AskError) -> Any:
        return self._master(said.host)

    def moved(self, said: MovedError) -> None:
        self.table[said.slot_id] = said.host

    def look(self) -> None:
        self.looks += 1
        self.learns()

    def answers(self, master: Master) -> None:
        self.heard.append(master.name)

    def lost(self, master: Master, silent: bool) -> None:
        self.gone.append((master.name, silent))

    def _master(self, name: str) -> Any:
        return Master(name, redis.Redis(), self.lanes[name])  # type: ignore[arg-type]


def _slot(key: str) -> int:
    return int(key_slot(key.encode()))


@pytest.fixture
def nodes() -> FakeNodes:
    return FakeNodes()


def ask(nodes: FakeNodes, *commands: Sequence[str | int], refused_for: float = EVER) -> list[Any]:
    return ClusterLane(nodes, refused_for).ask(commands)  # type: ignore[arg-type]


def to(nodes: FakeNodes, name: str) -> list[bytes]:
    return nodes.lanes[name].sent


def test_each_master_gets_what_is_its_own_in_one_trip_and_replies_keep_their_order(nodes: FakeNodes) -> None:
    assert ask(nodes, get(A), get(B), get(A), get(C), get(B)) == ["x", "y", "x", "z", "y"]

    assert to(nodes, "x") == [packed([get(A), get(A)])]
    assert to(nodes, "y") == [packed([get(B), get(B)])]


def test_what_has_no_key_goes_with_the_first_that_has_one(nodes: FakeNodes) -> None:
    wait, script = ("WAIT", 1, 500), ("EVALSHA", "sha", 1, B, "arg")

    assert ask(nodes, script, wait) == ["y", "y"]
    assert to(nodes, "y") == [packed([script, wait])]


def test_what_has_no_key_at_all_goes_to_any(nodes: FakeNodes) -> None:
    assert ask(nodes, ("EVALSHA", "sha", 0)) == ["z"]


def test_what_has_no_key_is_asked_elsewhere_where_a_master_is_lost(nodes: FakeNodes) -> None:
    for name in "zy":
        nodes.lanes[name].answers = [RedisConnectionError(), RedisTimeoutError()]
    assert ask(nodes, ("PING",)) == ["x"]
    nodes.lanes["x"].answers = [RedisConnectionError()]
    with pytest.raises((RedisConnectionError, RedisTimeoutError)):
        ask(nodes, ("PING",))


def test_moved_is_followed_and_kept_in_mind(nodes: FakeNodes) -> None:
    nodes.lanes["x"].answers = [MovedError(f"{_slot(A)} y:1")]

    assert ask(nodes, get(A), get(C)) == ["y", "z"]
    assert ask(nodes, get(A)) == ["y"]
    assert len(to(nodes, "x")) == 1
    assert len(to(nodes, "z")) == 1, "what was answered is not asked again"


def test_ask_is_followed_for_that_one_command(nodes: FakeNodes) -> None:
    nodes.lanes["x"].answers = ["here", AskError(f"{_slot(A)} y:1")]
    nodes.lanes["y"].answers = ["OK", "there"]

    assert ask(nodes, get(A), get(A)) == ["here", "there"]
    assert to(nodes, "y") == [packed([("ASKING",), get(A)])]
    assert ask(nodes, get(A)) == ["x"]


def test_wait_goes_along_with_what_it_speaks_of(nodes: FakeNodes) -> None:
    wait, script = ("WAIT", 1, 500), ("EVALSHA", "sha", 1, A)
    nodes.lanes["x"].answers = [AskError(f"{_slot(A)} y:1"), 0]
    nodes.lanes["y"].answers = ["OK", "done", 1]

    assert ask(nodes, script, wait) == ["done", 1]
    assert to(nodes, "y") == [packed([("ASKING",), script, wait])]


def test_what_is_to_be_tried_again_is(nodes: FakeNodes) -> None:
    nodes.lanes["x"].answers = [TryAgainError("keys on both sides")] * 3

    assert ask(nodes, get(A)) == ["x"]
    assert len(to(nodes, "x")) == 4


def test_but_not_for_ever(nodes: FakeNodes) -> None:
    nodes.lanes["x"].answers = [TryAgainError("keys on both sides")] * 1000

    [refusal] = ask(nodes, get(A), refused_for=0.0)

    assert isinstance(refusal, TryAgainError)
    assert len(to(nodes, "x")) == 4


def test_two_that_send_us_to_and_fro_are_not_asked_for_ever(nodes: FakeNodes) -> None:
    nodes.lanes["x"].answers = [MovedError(f"{_slot(A)} y:1")] * 1000
    nodes.lanes["y"].answers = [MovedError(f"{_slot(A)} x:1")] * 1000

    [refusal] = ask(nodes, get(A), refused_for=0.05)

    assert isinstance(refusal, MovedError)


def test_a_slot_that_nobody_has_is_looked_for(nodes: FakeNodes) -> None:
    nodes.lanes["x"].answers = [ClusterDownError("Hash slot not served")]

    def promoted() -> None:
        nodes.table[_slot(A)] = "y"

    nodes.learns = promoted

    assert ask(nodes, get(A)) == ["y"]
    assert nodes.looks == 1


def test_other_refusals_are_answers(nodes: FakeNodes) -> None:
    refusal = ResponseError("WRONGTYPE")
    nodes.lanes["x"].answers = [refusal]

    assert ask(nodes, get(A), get(B)) == [refusal, "y"]


def test_where_one_is_lost_nobody_gets_the_answers_of_others_and_the_nodes_are_looked_at(nodes: FakeNodes) -> None:
    nodes.lanes["y"].answers = [RedisConnectionError("gone")]

    with pytest.raises(RedisConnectionError):
        ask(nodes, get(A), get(B), get(C))

    assert nodes.gone == [("y", False)]
    assert nodes.heard == ["x"]
    assert nodes.lanes["z"].dropped == 1
    assert nodes.lanes["x"].dropped == 0


def test_one_that_is_silent_is_said_to_be(nodes: FakeNodes) -> None:
    nodes.lanes["y"].answers = [RedisTimeoutError("nothing")]

    with pytest.raises(RedisTimeoutError):
        ask(nodes, get(B))

    assert nodes.gone == [("y", True)]


@pytest.mark.parametrize(
    ("command", "key"),
    [
        (("GET", A), A),
        (("HMGET", B, "f"), B),
        (("EVALSHA", "sha", 2, C, C, "arg"), C),
        (("EVAL", "return 1", 1, A.encode()), A),
    ],
)
def test_a_command_lies_where_its_first_key_does(command: Sequence[str | int], key: str) -> None:
    assert slot_of(command) == _slot(key)


class TestSeveralLooks:
    """`in_parts` on a cluster."""

    def looks(self, nodes: FakeNodes) -> tuple[int, list[list[Any] | None]]:
        def part(key: str) -> Callable[[Any], None]:
            return lambda pipeline: pipeline.execute_command("GETRANGE", key, 0, 1)

        now, found = in_parts(
            Cluster(nodes),  # type: ignore[arg-type]
            lambda pipeline: pipeline.execute_command("NOW", A),
            [part(A), part(B), part(C)],
        )
        return now, [None if replies is None else list(replies) for replies in found]

    def test_go_in_one_trip_to_each_master(self, nodes: FakeNodes) -> None:
        nodes.lanes["x"].answers = [7, "x"]
        assert self.looks(nodes) == (7, [["x"], ["y"], ["z"]])
        assert [len(lane.sent) for lane in nodes.lanes.values()] == [1, 1, 1]

    def test_bring_what_those_have_that_answer(self, nodes: FakeNodes) -> None:
        nodes.lanes["y"].answers = [RedisConnectionError(), RedisConnectionError()]
        nodes.lanes["x"].answers = [0, "x", "x", 7, 8, 9]
        now, found = self.looks(nodes)
        assert (now, found) == (8, [["x"], None, ["z"]])

    def test_are_lost_where_nobody_answers(self, nodes: FakeNodes) -> None:
        for lane in nodes.lanes.values():
            lane.answers = [RedisConnectionError() for _ in range(9)]
        with pytest.raises(StoreDown):
            self.looks(nodes)
