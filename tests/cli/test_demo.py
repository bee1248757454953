"""The demo, on its real parts: it serves, it keeps, it leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from otp_service import config
from otp_service.api_keys import new_key
from otp_service.cli.addresses import own_or_free
from otp_service.cli.demo_settings import DemoSecrets, demo_tables, on_top
from otp_service.config.fields import Address
from tests.cli.conftest import Command
from tests.cli.processes import PATIENCE, Running, environment, free_port, http, start, until

READY_LINES = 4


def demo(tmp_path: Path, *arguments: str) -> Any:
    ports = ["--port", str(free_port()), "--inbox-port", str(free_port())]
    return start("demo", *ports, *arguments, folder=tmp_path, ready_after=READY_LINES)


class Caller:
    """An application that was given the demo's key."""

    def __init__(self, running: Running) -> None:
        self._lines = running.lines

    def _post(self, path: str, body: dict[str, str]) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._lines['key']}"}
        return http.post(f"{self._lines['api']}{path}", json=body, headers=headers)

    def start(self, to: str) -> str:
        answer = self._post("/v1/verifications", {"to": to, "purpose": "login"})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def code_for(self, mobile: str) -> str:
        asked = {"mobile": mobile, "wait": "15"}
        inbox = http.get(f"{self._lines['inbox']}/api/messages", params=asked)
        return str(inbox.json()["messages"][0]["code"])

    def check(self, id: str, code: str) -> httpx.Response:
        return self._post(f"/v1/verifications/{id}/check", {"code": code})


class TestTheDemo:
    def test_sends_checks_and_ends_without_a_trace(self, command: Command, tmp_path: Path) -> None:
        """From the first line to the last: API, worker, simulator, command line; then Ctrl-C."""
        with demo(tmp_path) as running:
            caller = Caller(running)
            id = caller.start("+8613800138000")
            code = caller.code_for("13800138000")

            assert caller.check(id, code).json()["status"] == "approved"
            assert caller.check(id, code).json()["problem"] == "already_approved"
            assert httpx.get(f"{running.lines['admin']}/metrics", trust_env=False).status_code == 200

            here = {"XDG_RUNTIME_DIR": str(tmp_path)}
            sent = json.loads(command("send", "13800138001", "--json", **here))
            code = caller.code_for("13800138001")
            command("check", sent["id"], f"{int(code[0]) ^ 1}{code[1:]}", **here)
            assert command.err == "error: code_mismatch: The code is wrong; attempts left: 4.\n"
            checked = command("check", sent["id"], code, **here)
            assert checked.startswith("status approved\ntoken ")

            seen = json.loads(command("status", "--json", **here))
            assert [channel["untold"] for channel in seen["channels"]] == [[], []], "its gateways know both accounts"

            assert running.end(signal.SIGINT)[0] == 0
            assert running.relatives() == []
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []

    def test_keeps_what_is_pending_through_a_kill(self, command: Command, tmp_path: Path) -> None:
        """kill -9 leaves no process; the same data directory has key and verification again."""
        folder = ["--data-dir", str(tmp_path / "data")]
        with demo(tmp_path, *folder) as killed:
            caller = Caller(killed)
            id, key = caller.start("+8613800138002"), killed.lines["key"]
            code = caller.code_for("13800138002")
            killed.end(signal.SIGKILL)
            until(lambda: not killed.relatives(), "the children follow their parent")

        with demo(tmp_path, *folder) as again:
            assert again.lines["key"] == key
            assert Caller(again).check(id, code).json()["status"] == "approved"
            assert (tmp_path / "data" / "secrets.json").stat().st_mode & 0o777 == 0o600

            command("demo", "--port", str(free_port()), *folder)
            assert command.status == 1
            assert "another demo uses" in command.err

    @pytest.mark.parametrize(
        "name",
        ["valkey", "granian", *(pytest.param(name, marks=pytest.mark.slow) for name in ("simulator", "worker", "api"))],
    )
    def test_ends_with_any_of_its_children(self, tmp_path: Path, name: str) -> None:
        """It says which one, and nothing is left."""
        with demo(tmp_path, "--data-dir", str(tmp_path / "data")) as running:
            os.kill(child(running, name), signal.SIGKILL)
            status, said = running.wait()

            assert status == 1
            assert f"error: {'api' if name == 'granian' else name} ended, and with it the demo" in said
            assert running.relatives() == []

    def test_does_not_start_on_a_taken_port(self, command: Command, tmp_path: Path) -> None:
        """One line, exit 1, nothing started."""
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = str(other.getsockname()[1])
            for arguments in (["--port", port], ["--port", str(free_port()), "--inbox-port", port]):
                command("demo", *arguments, "--data-dir", str(tmp_path / "data"))

                assert command.status == 1
                assert command.err == f"error: port {port} is taken; give another with --port or --inbox-port\n"
        assert {path.name for path in (tmp_path / "data").iterdir()} == {"lock", "secrets.json"}

    def test_does_not_start_with_one_port_for_two_servers(self, command: Command, tmp_path: Path) -> None:
        """One line, exit 1, nothing started."""
        port = str(free_port())
        command("demo", "--port", port, "--inbox-port", port, "--data-dir", str(tmp_path / "data"))

        assert command.status == 1
        assert command.err == f"error: API and simulator can't share port {port}; give another with --inbox-port\n"
        assert {path.name for path in (tmp_path / "data").iterdir()} == {"lock", "secrets.json"}

    def test_gives_the_admin_address_a_port_that_neither_server_wants(self) -> None:
        """A file may name for it the port that --port names for the API."""
        wanted = Address("127.0.0.1", free_port())

        assert own_or_free(wanted) == wanted
        assert own_or_free(wanted, taken=(wanted,)) != wanted

    def test_without_a_data_directory_names_no_file_that_is_gone(self, tmp_path: Path) -> None:
        """The last lines are in the message; the log they stand in is deleted."""
        with demo(tmp_path) as running:
            os.kill(child(running, "valkey"), signal.SIGKILL)
            status, said = running.wait()

        assert status == 1
        assert said.startswith("error: valkey ended, and with it the demo; its log ends with:\n")
        assert len(said.splitlines()) > 1
        assert str(tmp_path) not in said.splitlines()[0]

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
    def test_ends_by_every_signal_that_asks_a_program_to(self, tmp_path: Path, number: signal.Signals) -> None:
        """Ctrl-\\ too, also where a shell had it ignored; the family ends first."""
        program = (
            "import signal, sys, time\n"
            "from pathlib import Path\n"
            "from otp_service.cli.family import Asked, Family\n"
            "signal.signal(signal.SIGQUIT, signal.SIG_IGN)\n"
            "try:\n"
            "    with Family(Path(sys.argv[1]), 5) as family:\n"
            "        family.start(child=lambda: time.sleep(60))\n"
            "        print('ready', flush=True)\n"
            "        family.watch()\n"
            "except Asked:\n"
            "    sys.exit(7)\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)], env=environment(), stdout=subprocess.PIPE, text=True
        ) as asked:
            assert asked.stdout is not None
            assert asked.stdout.readline() == "ready\n"
            asked.send_signal(number)

            assert asked.wait(PATIENCE) == 7

    def test_takes_a_file_of_yours_on_top(self, tmp_path: Path) -> None:
        """A client of the file can call, by the file's rules."""
        key = new_key()
        file = tmp_path / "mine.toml"
        file.write_text(
            f'[purposes.login]\ncode_length = 8\n[[clients]]\nname = "shop"\nkey_hashes = ["{key.hash}"]\n'
            '[service]\nbind = "0.0.0.0:1"\n'
        )
        with demo(tmp_path, "--config", str(file)) as running:
            running.lines["key"] = key.text
            caller = Caller(running)
            caller.start("+8613800138003")

            assert running.lines["api"].startswith("http://127.0.0.1:")
            assert len(caller.code_for("13800138003")) == 8


def child(running: Running, name: str) -> int:
    """The pid of one part: children lead groups of their own and were forked in this order."""
    order = ["valkey", "simulator", "worker", "api"]
    forked = sorted((pid for pid in running.relatives() if parent_of(pid) == running.process.pid), key=born)
    assert len(forked) == len(order)
    if name == "granian":
        return next(pid for pid in running.relatives() if parent_of(pid) == forked[3])
    return forked[order.index(name)]


def born(pid: int) -> tuple[int, int]:
    """Pids alone begin anew after 32768."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]), pid


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


class TestMerging:
    def merged(self, given: config.Tables, tmp_path: Path, **environ: str) -> config.Config:
        free = [Address("127.0.0.1", port) for port in (8000, 8001, 8002)]
        own = demo_tables(DemoSecrets.of(tmp_path), *free, "unix:///valkey.sock")
        return config.parse(on_top(own, given), environ, tmp_path)

    def test_without_a_file_is_a_whole_configuration(self, tmp_path: Path) -> None:
        """All regions, two channels, one client."""
        loaded = self.merged({}, tmp_path)

        assert loaded.rules().regions == {"*"}
        assert [channel.name for channel in loaded.channels] == ["primary", "backup"]

    def test_adds_clients_and_replaces_channels(self, tmp_path: Path) -> None:
        """As the documentation says; the demo's own client may use purposes of the file."""
        channel = {"name": "mine", "protocol": "sms_aspx", "url": "http://x", "account": "a", "password": "p"}
        given = {
            "channels": [{**channel, "signature": "Acme"}],
            "clients": [{"name": "shop"}],
            "purposes": {"payment": {}},
            "redis": {"url": "redis://mine"},
        }
        loaded = self.merged(given, tmp_path)

        assert [channel.name for channel in loaded.channels] == ["mine"]
        assert [client.name for client in loaded.clients] == ["demo", "shop"]
        assert "payment" in loaded.clients[0].purposes
        assert loaded.redis.url.get_secret_value() == "redis://mine"

    def test_lies_below_the_environment(self, tmp_path: Path) -> None:
        """Which is on top of everything."""
        loaded = self.merged({"purposes": {"login": {"ttl": 120}}}, tmp_path, OTP_PURPOSES__LOGIN__TTL="180")

        assert loaded.purposes["login"].ttl == 180
