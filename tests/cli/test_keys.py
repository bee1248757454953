"""`keys list` and `keys revoke` on a real server: what they say, and that it is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from otp_service.cli.operating import who
from otp_service.store import RedisRevocations, connect
from otp_service.store.redis_revocations import MOST_REVOKED
from tests.cli.conftest import Command
from tests.world import Server


@pytest.fixture
def key(command: Command, real_server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The only key of `app`, in a file that `init` wrote."""
    made = json.loads(command("init", "--yes", "--json"))
    monkeypatch.setenv("OTP_REDIS__URL", real_server.url)
    return str(made["key"])


def listed(command: Command) -> list[dict[str, str | None]]:
    shown: list[dict[str, str | None]] = json.loads(command("keys", "list", "--json"))
    return shown


class TestRevoke:
    def test_refuses_the_key_and_says_what_is_left_to_do(self, command: Command, key: str, real_server: Server) -> None:
        """By the id or the whole key; nothing repeats the key itself."""
        id = key[4:12]
        said = command("keys", "revoke", key)

        assert command.status == 0
        assert said == f"{id} of app is revoked; every process refuses it within five seconds\n"
        assert "Take its hash out of key_hashes of app" in command.err
        assert "app has no other key" in command.err
        assert key not in said + command.err
        assert RedisRevocations(real_server.client).ids() == {id}

    def test_is_the_same_when_it_is_said_again(self, command: Command, key: str) -> None:
        """Who is not sure says it twice; the first time is kept."""
        first = json.loads(command("keys", "revoke", key[4:12], "--json"))
        again = json.loads(command("keys", "revoke", key[4:12], "--json"))

        assert (first["state"], first["client"], first["revoked_by"]) == ("revoked", "app", who())
        assert (first.pop("changed"), again.pop("changed")) == (True, False)
        assert first == again
        assert command("keys", "revoke", key[4:12]).startswith(f"{key[4:12]} of app was revoked before, at 2")

    def test_can_be_undone(self, command: Command, key: str) -> None:
        """A slip of the hand costs seconds."""
        command("keys", "revoke", key[4:12])

        assert command("keys", "revoke", "--undo", key[4:12]) == f"{key[4:12]} of app is good again\n"
        assert command("keys", "revoke", "--undo", key[4:12]) == f"{key[4:12]} of app was not revoked\n"
        assert command.status == 0
        assert [row["state"] for row in listed(command)] == ["active"]

    def test_is_seen_by_doctor(self, command: Command, key: str) -> None:
        assert "ok   client app: 1 active keys" in command("doctor")
        command("keys", "revoke", key[4:12])
        assert "warn client app: all of its keys are revoked, so it can't call; make one with" in command("doctor")

    def test_takes_an_id_that_this_file_does_not_know(self, command: Command, key: str) -> None:
        """Another host's file may have it; the list shows it as nobody's."""
        assert command("keys", "revoke", "zzzzzzzz").startswith("zzzzzzzz is revoked;")
        assert "No client of this configuration has this key" in command.err
        assert [(row["client"], row["id"], row["state"]) for row in listed(command)] == [
            ("app", key[4:12], "active"),
            (None, "zzzzzzzz", "revoked"),
        ]

    @pytest.mark.parametrize("wrong", ["", "shop", "ZZZZZZZZ", "otp_zzzzzzzz", "zzzzzzzz:0"])
    def test_refuses_what_is_no_id(self, command: Command, key: str, wrong: str) -> None:
        """One line, exit 2."""
        command("keys", "revoke", wrong)

        assert command.status == 2
        assert "neither a key's id, 8 characters, nor a whole key; `otp-service keys list`" in command.err
        assert len(command.err.splitlines()) == 1

    def test_says_so_when_there_are_too_many(self, command: Command, key: str, real_server: Server) -> None:
        """Exit 1: the key is not revoked."""
        real_server.client.hset("otp:revoked", mapping={f"{n:08d}": "1 a@b" for n in range(MOST_REVOKED)})
        command("keys", "revoke", key[4:12])

        assert command.status == 1
        assert "is not revoked" in command.err

    @pytest.mark.parametrize("arguments", [("revoke", "zzzzzzzz"), ("revoke", "--undo", "zzzzzzzz"), ("list",)])
    def test_without_redis_says_what_to_do(self, command: Command, key: str, arguments: tuple[str, ...]) -> None:
        """Exit 1: nobody may take it for done."""
        command("keys", *arguments, OTP_REDIS__URL="redis://127.0.0.1:1/0")

        assert command.status == 1
        assert "redis.url" in command.err


class TestList:
    def test_shows_ids_and_never_a_key(self, command: Command, key: str) -> None:
        """Tab-separated in a pipe, and the same in JSON."""
        Path("otp.toml").write_text(Path("otp.toml").read_text() + '\n[[clients]]\nname = "idle"\n')
        command("keys", "revoke", key[4:12])
        rows = [line.split("\t") for line in command("keys", "list").splitlines()]

        assert [row[:3] for row in rows] == [[key[4:12], "app", "revoked"]]
        assert list(listed(command)[0].values()) == rows[0]
        assert key[12:] not in json.dumps(rows)

    def test_uses_the_prefix_of_the_configuration(self, command: Command, key: str, real_server: Server) -> None:
        """Two installations on one Redis know nothing of each other's keys."""
        command("keys", "revoke", key[4:12], OTP_REDIS__PREFIX="other")

        assert [row["state"] for row in listed(command)] == ["active"]
        assert RedisRevocations(connect(real_server.url), "other").ids() == {key[4:12]}
