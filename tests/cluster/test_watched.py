"""What API and worker, each a process, say in their logs of a Redis that is lost in part, and of its return."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.processes import until
from tests.cluster.nodes import Cluster, Node, cluster
from tests.cluster.plant import Plant

pytestmark = pytest.mark.slow
WELL, ILL = "Redis is well again", "Redis needs a hand"


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("watched"), replicas=True) as made:
        for node in made.nodes:
            node.client.config_set("cluster-require-full-coverage", "no")
        yield made


def told(plant: Plant, name: str, event: str) -> list[dict[str, Any]]:
    log = (plant.folder / f"{name}.process.log").read_text("utf-8", "replace")
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


def until_both_tell(plant: Plant, event: str, what: str) -> None:
    for name in ("api0", "worker0"):
        until(lambda name=name: what in [line["what"] for line in told(plant, name, event)], f"{name}: {event}")


def named(node: Node) -> str:
    return f"the master 127.0.0.1:{node.port}"


def test_a_master_that_hangs_is_named_and_told_when_it_is_served_again(there: Cluster, tmp_path: Path) -> None:
    """Once each, however many were refused meanwhile."""
    there.until_ok()
    with Plant(tmp_path, there, workers=1) as plant:
        [gone, *_] = there.masters
        replica = there.replica_of(gone)
        # Else it takes over in about the time between two looks, and one of the two may never see the outage.
        replica.client.config_set("cluster-replica-no-failover", "yes")
        with gone.frozen():
            until_both_tell(plant, ILL, named(gone))
            replica.client.config_set("cluster-replica-no-failover", "no")
            until_both_tell(plant, WELL, named(gone))
        for name in ("api0", "worker0"):
            [ill] = [line for line in told(plant, name, ILL) if line["what"] == named(gone)]
            [well] = [line for line in told(plant, name, WELL) if line["what"] == named(gone)]
            print(f"{name}: {json.dumps(ill)}\n{name}: {json.dumps(well)}")
            assert "answer 503: start it, or let a replica take over" in ill["trouble"]
            assert (ill["level"], ill["see"], well["level"]) == ("warning", "docs/runbook.md", "info")
    there.until_ok()


def test_a_master_without_its_replica_is_told_to_those_who_wait(there: Cluster, tmp_path: Path) -> None:
    there.until_ok()
    with Plant(tmp_path, there, "wait", workers=1) as plant:
        [master, *_] = there.masters
        replica = there.replica_of(master)
        replica.kill()
        what = f"the replica of 127.0.0.1:{master.port}"
        until_both_tell(plant, ILL, what)
        replica.begin()
        until_both_tell(plant, WELL, what)
        print(json.dumps(told(plant, "api0", ILL)))
