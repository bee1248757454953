"""Every act of an operator, by the command line, on a cluster: as on one server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from otp_service import config as configuration
from otp_service import wiring
from otp_service.errors import CodeMismatch, ConfigError, RecipientBlocked
from otp_service.keyring import PARTITIONS
from otp_service.store import RedisPersonalData
from otp_service.store.facts import NO_REPLICA, Lack, ServerFacts, SilentMaster
from otp_service.verifier import CheckRequest, StartRequest
from tests.cluster.cluster_world import Heard, world_on
from tests.cluster.desk import APP, Desk
from tests.cluster.nodes import Cluster
from tests.cluster.test_requests import number
from tests.test_privacy import HOOK, subject
from tests.world import KEYS, NUMBER


def test_status_counts_the_queues_of_all_masters(desk: Desk) -> None:
    verifier = desk.verifier()
    for n in range(30):
        verifier.start(APP, StartRequest(number(n), "login"))
    assert desk.json("status")["queue"]["depth"] == 30


def test_status_shows_the_queues_of_webhooks(desk: Desk) -> None:
    secrets = desk("secrets", "new", "--webhook").strip()
    hook = f'[[webhooks]]\nname = "crm"\nurl = "https://crm.example.com/"\n{secrets}\nclient = "app"\n'
    file = Path("otp.toml")
    file.write_text(f"{file.read_text('utf-8')}\n{hook}", "utf-8")
    [state] = desk.json("status")["webhooks"]
    assert state["name"] == "crm"


def test_a_trace_shows_a_number_and_a_verification(desk: Desk) -> None:
    id = desk.start()
    assert id in desk("trace", NUMBER)
    assert id in desk("trace", id)
    assert desk.command.status == 0


def test_what_is_counted_is_shown_and_forgotten(desk: Desk) -> None:
    id, verifier = desk.start(), desk.verifier()
    for code in ("000000", "000001"):
        with pytest.raises(CodeMismatch):
            verifier.check(APP, id, CheckRequest(code))
    shown = {one["limit"]: one["used"] for one in desk.json("limits", "show", NUMBER)["limits"]}
    assert (shown["failures"], shown["recipient"]) == (2, 1)
    desk("limits", "clear", NUMBER, "--prefix")
    shown = {one["limit"]: one["used"] for one in desk.json("limits", "show", NUMBER)["limits"]}
    assert set(shown.values()) == {0}
    assert desk("limits", "lift", "GB") == "nothing was held\n"
    assert desk("limits", "lift", NUMBER) == "nothing was held\n"


def test_what_is_held_is_exported_and_erased(desk: Desk) -> None:
    id = desk.start(session="s")
    document = desk.json("recipients", "export", NUMBER)
    assert [one["id"] for one in document["verifications"]] == [id]
    assert {held["what"] for held in document["held"]} >= {"recipient", "lookup", "cooldown", "queued_send"}
    said = desk("recipients", "erase", NUMBER, "--also-limits")
    assert "1 verification, 1 pending" in said
    document = desk.json("recipients", "export", NUMBER)
    assert (document["verifications"], document["held"]) == ([], [])


def test_what_waits_for_a_webhook_is_erased_too(masters: Cluster) -> None:
    """Its events lie in slots of others."""
    scripts = Heard()
    with world_on(masters, scripts=scripts) as world:
        world.with_rules(listened=frozenset({"*"}))
        id = world.start(session="s").verification.id
        world.check(id, world.code_of(id), session="s")
        client, about = world.server.client, subject(world)
        row = {"channel": "primary", "name": "x", "outcome": "delivered", "recipient": about.recipient}
        client.xadd(KEYS.reports(), row)
        client.zadd(KEYS.orphans(), {b"no row": 1})
        kept = RedisPersonalData(client, world.keyring, webhooks=(HOOK,), scripts=scripts)
        assert {one.kind for one in kept.held(about).holdings} >= {"event", "lookup"}
        assert kept.erase(about, also_limits=True).counts["event"] > 0
        assert kept.held(about).verifications == []
    assert scripts.names >= {"erase", "hook_drop"}


def test_what_the_pumping_guard_holds_is_shown_and_lifted(masters: Cluster) -> None:
    with world_on(masters) as world:
        client, now = world.server.client, world.store.now()
        for partition in range(PARTITIONS):
            client.zadd(KEYS.guarded(partition), {f"p{partition}": now + 60_000})
            held = {"until": now + 60_000, "since": now, "why": "0/10", "kid": "a", "mask": "sealed"}
            client.hset(KEYS.guarded_prefix(partition, f"p{partition}"), mapping=held)
        found = world.ledger.held().ranges
        assert {one.partition for one in found} == set(range(PARTITIONS))
        assert all(world.ledger.lift(one) for one in found)
        assert world.ledger.held().ranges == []


def test_a_number_is_suppressed_and_not(desk: Desk) -> None:
    desk("recipients", "suppress", NUMBER)
    with pytest.raises(RecipientBlocked):
        desk.start()
    desk("recipients", "unsuppress", NUMBER)
    assert desk.start()


def test_a_key_is_revoked(desk: Desk) -> None:
    [key] = desk.json("keys", "list")
    desk("keys", "revoke", key["id"])
    assert [key["state"] for key in desk.json("keys", "list")] == ["revoked"]
    desk("keys", "revoke", "--undo", key["id"])
    assert [key["state"] for key in desk.json("keys", "list")] == ["active"]


def test_channels_and_sends_are_paused(desk: Desk) -> None:
    desk("channels", "pause", "primary")
    desk("sends", "pause", "--country", "GB")
    assert {one["what"] for one in desk.json("status")["pauses"]} == {"channel:primary", "region:GB"}
    desk("channels", "resume", "primary")
    desk("sends", "resume")
    assert desk.json("status")["pauses"] == []


def test_the_trail_holds_all_of_it_in_order_and_is_whole(desk: Desk) -> None:
    desk("recipients", "suppress", NUMBER)
    desk("channels", "pause", "primary")
    desk("limits", "clear", NUMBER)
    assert desk.acts() == ["recipients.suppress", "channels.pause", "limits.clear"]
    desk("audit", "verify")
    assert desk.command.status == 0


def test_the_api_answers(desk: Desk) -> None:
    config = configuration.load(Path("otp.toml"), desk.environ)
    asked = wiring.build_app(config, wiring.build_verifier(config)).test_client()
    key = desk.made.partition("key ")[2].split()[0]
    who = {"Authorization": f"Bearer {key}"}
    made = asked.post("/v1/verifications", json={"to": NUMBER, "purpose": "login"}, headers=who)
    assert made.status_code == 201
    assert asked.get(f"/v1/verifications/{made.json['id']}", headers=who).status_code == 200  # type: ignore[index]
    assert asked.get("/readyz").status_code == 200


class TestWhatTheClusterLacks:
    def facts(self, desk: Desk, **environ: str) -> ServerFacts:
        return wiring.ask_server(configuration.load(Path("otp.toml"), {**desk.environ, **environ}))

    def test_nothing(self, desk: Desk) -> None:
        facts = self.facts(desk)
        assert (facts.masters, facts.unserved, facts.evicts, facts.is_recent) == (3, 0, False, True)
        assert (facts.role, facts.aof, facts.replicas, facts.info_in_scripts) == ("master", True, 0, True)
        assert "3 masters serve all slots" in desk("doctor")

    @pytest.mark.slow
    def test_a_master_that_does_not_answer_is_named_and_the_others_are_not_called_down(
        self, desk: Desk, masters: Cluster
    ) -> None:
        [one, *_] = masters.masters
        named = f"the master 127.0.0.1:{one.port} does not answer"
        with one.frozen():
            assert named in desk("doctor")
            assert named in (wiring.check_server(configuration.load(Path("otp.toml"), desk.environ)) or "")
            said = desk("status")
        assert named in said
        assert "in part" in said

    def test_who_lacks_something_hears_all_of_it(self, desk: Desk) -> None:
        silent = (SilentMaster("h1:6379", 11), SilentMaster("h2:6379", 11))
        facts = replace(self.facts(desk), silent=silent, unserved=512, replicas=0, lone=())
        wait, none = list(facts.lacks("wait")), list(facts.lacks("async"))
        assert [line.what for line in none[:2]] == ["the master h1:6379", "the master h2:6379"]
        assert none[2].text.startswith("512 of the cluster's")
        assert wait == [*none, Lack("replica", NO_REPLICA)]

    def test_a_wrong_password_is_no_cluster_that_is_down(self, desk: Desk, masters: Cluster) -> None:
        url = f"redis+cluster://nobody:wrong@127.0.0.1:{masters.nodes[0].port}"
        assert "refuses the user or the password" in desk("doctor", OTP_REDIS__URL=url)
        assert "refuses the user or the password" in desk("doctor", OTP_REDIS__URL=url.replace("+cluster", ""))

    def test_one_master_that_evicts_is_enough_to_refuse(self, desk: Desk, masters: Cluster) -> None:
        [one, *_] = masters.masters
        one.client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            with pytest.raises(ConfigError, match="allkeys-lru"):
                wiring.check_server(configuration.load(Path("otp.toml"), desk.environ))
        finally:
            one.client.config_set("maxmemory-policy", "noeviction")

    def test_a_master_without_a_replica_for_those_who_wait(self, desk: Desk, masters: Cluster) -> None:
        waits = configuration.load(Path("otp.toml"), {**desk.environ, "OTP_REDIS__DURABILITY": "wait"})
        said = wiring.check_server(waits) or ""
        assert said.count("has no replica, so") == 3
        assert f"the master 127.0.0.1:{masters.nodes[0].port} has no replica" in said

    def test_a_node_that_is_asked_alone(self, desk: Desk, masters: Cluster) -> None:
        url = f"redis://127.0.0.1:{masters.nodes[0].port}"
        said = desk("doctor", OTP_REDIS__URL=url)
        assert "write redis+cluster://" in said
        alone = configuration.load(Path("otp.toml"), {**desk.environ, "OTP_REDIS__URL": url})
        assert "write redis+cluster://" in (wiring.check_server(alone) or "")
