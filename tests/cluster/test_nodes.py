"""That the clusters of the tests do what clusters do."""

from __future__ import annotations

import pytest
from redis.exceptions import AskError, MovedError, TryAgainError

from tests.cluster.nodes import Cluster, slot_of


def test_a_slot_moves_with_its_keys(masters: Cluster) -> None:
    slot = slot_of("{03}")
    source = masters.owner_of(slot)
    to = masters.other_than(source)
    for n in range(300):
        source.ask("SET", f"{{03}}:{n}", "x")

    masters.move(slot, to)

    assert masters.owner_of(slot) is to
    assert to.ask("GET", "{03}:299") == b"x"
    with pytest.raises(MovedError):
        source.ask("GET", "{03}:299")


def test_a_slot_on_its_way_says_ask_and_try_again(masters: Cluster) -> None:
    slot = slot_of("{04}")
    source = masters.owner_of(slot)
    source.ask("SET", "{04}:a", "x")
    source.ask("SET", "{04}:b", "x")
    with masters.moving(slot, masters.other_than(source)) as move:
        move.take("{04}:a")
        with pytest.raises(AskError):
            source.ask("GET", "{04}:a")
        with pytest.raises(TryAgainError):
            source.ask("MGET", "{04}:a", "{04}:b")
        assert source.ask("GET", "{04}:b") == b"x"
    masters.until_ok()
