"""F17: slots that move under load, and masters that die under it. API, workers and gateways are real processes."""

from __future__ import annotations

import itertools
import random
import threading
import time
from pathlib import Path

import pytest

from otp_service.keyring import PARTITIONS
from tests.cli.processes import until
from tests.cluster.nodes import SLOTS, Cluster, cluster, slot_of
from tests.cluster.plant import Callers, Plant, errors_of
from tests.faults.load import calling
from tests.world import KEYS

pytestmark = pytest.mark.slow
PARTITIONS_SLOTS = [slot_of(KEYS.outbox(n)) for n in range(PARTITIONS)]
ROUNDS = 2
"""In each every partition's slot goes to another master, the reports' and the guard's too, and some of all others."""
KILLS = 30
OTHERS = 64
"""Slots of claims, of ids by which reports find their try, …: a round takes so many along."""
ONLY_OF_A_LOST_MASTER = ("I1", "I2", "I3")


def test_f17_slots_that_move_back_and_forth_under_load_break_nothing(tmp_path: Path) -> None:
    slots = [*PARTITIONS_SLOTS, slot_of(KEYS.reports()), slot_of(KEYS.guard_held()), slot_of(KEYS.channel("c0"))]
    slots += [slot_of(KEYS.channel("c1")), slot_of(KEYS.workers()), slot_of(KEYS.pauses())]
    dice = random.Random(1)
    with cluster(tmp_path / "nodes") as there, Plant(tmp_path, there) as plant:
        callers = Callers(plant)
        with callers.running():
            callers.until_more(50)
            for _ in range(ROUNDS):
                for slot in (*slots, *dice.sample(range(SLOTS), OTHERS)):
                    move_in_steps(there, slot, dice)
            callers.until_more(50)
        plant.until_nothing_is_left()
        callers.end_all()
        checker, refused = callers.checker(), errors_of(there)
        print(checker.totals(), dict(callers.statuses), dict(refused), f"without SMS: {len(callers.without_sms)}")

        assert checker.violations() == []
        assert set(callers.statuses) <= {200, 201, 422, 503}
        assert callers.strangers == []
        assert callers.without_sms == []
        assert callers.undone() == []
        assert min(refused["MOVED"], refused["ASK"], refused["TRYAGAIN"]) > 0
        assert refused["CROSSSLOT"] == 0
        assert "CROSSSLOT" not in plant.process_logs()
        assert "Traceback" not in plant.process_logs()


def test_f17_workers_that_are_killed_while_slots_move_lose_and_double_nothing(tmp_path: Path) -> None:
    """What they had taken lies in a slot that is on its way, or elsewhere by now, when others take it over."""
    dice, over = random.Random(2), threading.Event()
    with cluster(tmp_path / "nodes") as there, Plant(tmp_path, there) as plant:
        callers, moves = Callers(plant), 0

        def move() -> None:
            nonlocal moves
            for slot in itertools.cycle([*PARTITIONS_SLOTS, slot_of(KEYS.channel("c0")), slot_of(KEYS.workers())]):
                if over.is_set():
                    return
                move_in_steps(there, slot, dice)
                moves += 1

        with callers.running():
            callers.until_more(50)
            with calling(1, move, over):
                for n in range(KILLS):
                    callers.until_more(5)
                    plant.replace_worker(plant.workers[n % len(plant.workers)])
            callers.until_more(50)
        plant.until_nothing_is_left()
        callers.end_all()
        checker, refused = callers.checker(), errors_of(there)
        print(checker.totals(), dict(callers.statuses), dict(refused), f"moves: {moves}, kills: {KILLS}")
        print(f"without SMS: {len(callers.without_sms)}")

        assert checker.violations() == []
        assert set(callers.statuses) <= {200, 201, 422, 503}
        assert callers.strangers == []
        assert callers.undone() == []
        assert moves >= KILLS
        assert min(refused["MOVED"], refused["ASK"], refused["TRYAGAIN"]) > 0
        assert refused["CROSSSLOT"] == 0
        assert "Traceback" not in plant.process_logs()


def move_in_steps(there: Cluster, slot: int, dice: random.Random) -> None:
    """Half of the keys are there, and the others are not, for a moment."""
    source = there.owner_of(slot)
    to = dice.choice([node for node in there.masters if node is not source])
    with there.moving(slot, to) as move:
        keys = move.keys(1000)
        if keys:
            dice.shuffle(keys)
            move.take(*keys[: len(keys) // 2])
            time.sleep(0.05)


@pytest.mark.parametrize("durability", ["async", "wait"])
def test_f17_a_master_that_dies_under_load_is_followed_by_its_replica(tmp_path: Path, durability: str) -> None:
    with cluster(tmp_path / "nodes", replicas=True) as there, Plant(tmp_path, there, durability) as plant:
        callers = Callers(plant)
        with callers.running():
            callers.until_more(100)
            gone = there.owner_of(PARTITIONS_SLOTS[0])
            replica = there.replica_of(gone)
            theirs = {n for n, slot in enumerate(PARTITIONS_SLOTS) if there.owner_of(slot) is gone}
            gone.kill()
            killed = time.monotonic()
            until(lambda: replica.is_master, "its replica follows")
            # Somebody begins it again, as a replica now: with "wait" the new master answers nobody without one.
            followed = time.monotonic()
            gone.begin()
            until(lambda: theirs <= {n for moment, n in callers.went if moment > killed}, "all are served again")
            callers.until_more(50)
        recovered = [min(moment for moment, n in callers.went if n == one and moment > killed) for one in theirs]
        plant.until_nothing_is_left()
        callers.end_all()
        checker = callers.checker()
        undone = callers.undone()
        begun = [line["id"] for line in callers.lines if line["event"] == "start"]
        forgotten = [id for id in begun if id not in checker.finals]
        print(durability, checker.totals(), dict(callers.statuses))
        print(f"the replica was master after {followed - killed:.1f} s")
        print(f"recovered after {min(recovered) - killed:.1f} to {max(recovered) - killed:.1f} s")
        print(f"starts forgotten: {len(forgotten)}, approvals undone: {len(undone)}, strangers: {callers.strangers}")

        assert set(callers.statuses) <= {200, 201, 404, 422, 503}
        if durability == "wait":
            assert undone == []
            assert [line for line in checker.violations() if line.startswith(ONLY_OF_A_LOST_MASTER)] == []
        assert errors_of(there)["CROSSSLOT"] == 0
        assert "Traceback" not in plant.process_logs()
