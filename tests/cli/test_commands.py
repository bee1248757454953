"""The small commands: what they print, and how they fail."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from otp_service import config
from otp_service.api_keys import ClientKeys, is_well_formed
from otp_service.cli.init import profile_of
from otp_service.cli.running_demo import RunningDemo
from otp_service.config.key_material import decode_key, decode_key_pair, decode_webhook_secret
from otp_service.default_texts import DEFAULT_TEXTS
from otp_service.policy import Client
from tests.cli.conftest import Command
from tests.cli.processes import environment


def ended(stdout: int | None, *arguments: str) -> tuple[int, str]:
    """Status and stderr of a command whose stdout is that, or is closed before it starts."""
    closed = {"preexec_fn": lambda: os.close(1)} if stdout is None else {"stdout": stdout}
    program = [sys.executable, "-m", "otp_service.cli", *arguments]
    done = subprocess.run(program, env=environment(), stderr=subprocess.PIPE, text=True, check=False, **closed)  # type: ignore[call-overload]
    return done.returncode, done.stderr


class TestItsOutput:
    """Processes, as what happens at the end of an interpreter is of it."""

    def test_that_finds_no_room_is_one_line(self) -> None:
        with open("/dev/full", "w") as full:
            assert ended(full.fileno(), "--help") == (1, "error: stdout: No space left on device\n")

    def test_that_is_closed_is_one_line(self) -> None:
        """Whoever wants none says `>/dev/null`."""
        assert ended(None, "keys", "new", "shop", "--json") == (1, "error: stdout: Bad file descriptor\n")

    def test_whose_reader_has_gone_ends_as_by_sigpipe(self) -> None:
        """`status | head -1`: in silence, and not by the 1 of what needs a hand."""
        reader, writer = os.pipe()
        os.close(reader)
        try:
            assert ended(writer, "--help") == (141, "")
        finally:
            os.close(writer)


class TestCallingIt:
    def test_help_names_every_command_and_imports_none(self) -> None:
        """`--help` must be fast, so nothing heavy is imported for it."""
        program = "import sys; from otp_service.cli import main\ntry: main(['--help'])\nfinally: print(*sys.modules)"
        said = subprocess.run(
            [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, check=True
        ).stdout

        assert all(f"\n  {name} " in said for name in ("demo", "init", "serve", "worker", "doctor", "send", "keys"))
        assert not {"flask", "redis", "httpx", "pydantic", "granian", "phonenumbers"} & set(said.split())

    def test_without_a_command_shows_the_help(self, command: Command) -> None:
        """Exit 2: nothing was done."""
        command()

        assert command.status == 2
        assert "Commands:" in command.err

    @pytest.mark.parametrize(
        "arguments", [["nope"], ["keys", "new"], ["serve", "--threads", "0"], ["check", "../", "1"]]
    )
    def test_wrongly_is_one_line_and_exit_2(self, command: Command, arguments: list[str]) -> None:
        """With the place of the help."""
        command(*arguments)

        assert command.status == 2
        assert command.err.startswith("error: ")
        assert len(command.err.splitlines()) == 1

    @pytest.mark.parametrize("name", ["serve", "worker", "keys token-key shop"])
    def test_with_a_missing_file_is_one_line_and_exit_1(self, command: Command, name: str) -> None:
        """No traceback for what anybody can foresee."""
        command(*name.split(), "--config", "none.toml")

        assert command.status == 1
        assert command.err == "error: none.toml: No such file or directory; give a file with --config or OTP_CONFIG\n"

    def test_finds_no_demo_where_none_runs(
        self, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """And says how to start one, also where a killed demo left its note."""
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
        hint = "error: no demo is running; start `otp-service demo`, or give --url and --key\n"
        command("send", "13800138000")
        assert command.err == hint

        with subprocess.Popen([sys.executable, "-c", ""]) as dead:
            dead.wait()
        RunningDemo("http://127.0.0.1:1", "k", dead.pid).announce()
        command("check", "ver_1", "123456")
        assert command.err == hint

    def test_finds_the_first_demo_again_when_a_later_one_ends(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """The latest is found as long as it runs; each takes only its own note away."""
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
        first = RunningDemo("http://127.0.0.1:1", "k1", os.getppid())
        later = RunningDemo("http://127.0.0.1:2", "k2", os.getpid())
        first.announce()
        older = next(tmp_path.rglob("demo-*.json"))
        os.utime(older, (1, 1))
        later.announce()
        assert RunningDemo.find() == later

        later.withdraw()
        later.withdraw()
        assert RunningDemo.find() == first

    def test_takes_the_notes_of_killed_demos_away(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """When the next one starts."""
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
        with subprocess.Popen([sys.executable, "-c", ""]) as dead:
            dead.wait()
        RunningDemo("http://127.0.0.1:1", "k", dead.pid).announce()
        RunningDemo("http://127.0.0.1:2", "k", os.getpid()).announce()

        assert [note.name for note in tmp_path.rglob("demo-*.json")] == [f"demo-{os.getpid()}.json"]


class TestKeys:
    def test_new_prints_a_key_and_the_hash_that_knows_it(self, command: Command) -> None:
        """What is printed works when it is configured."""
        told, hashes = command("keys", "new", "shop").splitlines()
        key = told.removeprefix("key ")
        parsed = tomllib.loads(hashes)["key_hashes"]
        client = Client("shop", frozenset())

        assert is_well_formed(key)
        assert ClientKeys([(client, parsed)]).client_for(f"Bearer {key}") == client

    def test_token_key_prints_one_for_each_purpose_of_the_client(self, command: Command) -> None:
        """Tab-separated in a pipe, and the same in JSON."""
        command("init", "--yes", "--client", "shop")
        rows = [line.split("\t") for line in command("keys", "token-key", "shop").splitlines()]
        objects = json.loads(command("keys", "token-key", "shop", "--json"))

        assert [purpose for _, purpose, _ in rows] == ["login", "signup", "password_reset"]
        assert len({key for _, _, key in rows}) == 3
        assert [[row["kid"], row["purpose"], row["key"]] for row in objects] == rows

    def test_token_key_of_an_unknown_client_names_the_known_ones(self, command: Command) -> None:
        """One line, exit 1."""
        command("init", "--yes", "--client", "shop")
        command("keys", "token-key", "shp")

        assert command.status == 1
        assert command.err == "error: no client is called 'shp'; configured: shop\n"


class TestSecrets:
    def test_new_prints_keys_that_the_configuration_takes(self, command: Command) -> None:
        """Two different ones."""
        made = tomllib.loads(command("secrets", "new"))
        _, secret = decode_key_pair(made["secret_keys"][0])

        assert secret != decode_key(made["fingerprint_key"])

    def test_new_makes_a_secret_for_a_webhook_as_well(self, command: Command) -> None:
        """One that the start takes, and another each time."""
        made = [tomllib.loads(command("secrets", "new", "--webhook"))["secrets"][0] for _ in range(2)]

        assert len({decode_webhook_secret(secret) for secret in made}) == 2
        assert set(json.loads(command("secrets", "new", "--webhook", "--json"))) == {"secrets"}

    def test_rotate_appends_first_and_moves_to_the_front_second(self, command: Command) -> None:
        """In between, every process verifies with both keys. Old keys are not shown."""
        command("init", "--yes")
        old = config.load(Path("otp.toml"), {}).secret_key_pairs()
        steps = json.loads(command("secrets", "rotate", "--json"))
        shown = command("secrets", "rotate")

        first, second = (step["secret_keys"] for step in steps["steps"])
        assert first == [f"{old[0][0]}:…", steps["new"]]
        assert second == first[::-1]
        assert decode_key_pair(steps["new"])[0] != old[0][0]
        assert base64.b64encode(old[0][1]).decode() not in shown


class TestInit:
    def test_writes_a_private_file_that_loads(self, command: Command) -> None:
        """0600, with the key printed once and only its hash inside."""
        printed = dict(line.split(" ", 1) for line in command("init", "--yes").splitlines())
        loaded = config.load(Path("otp.toml"), {})

        assert Path("otp.toml").stat().st_mode & 0o777 == 0o600
        assert ClientKeys(loaded.client_keys()).client_for(f"Bearer {printed['key']}").name == "app"
        assert printed["key"] not in Path("otp.toml").read_text()
        assert "otp-service doctor --config otp.toml --send NUMBER" in command.err

    def test_never_overwrites_unless_told(self, command: Command) -> None:
        """The file holds secrets that nobody else has."""
        command("init", "--yes")
        before = Path("otp.toml").read_text()
        command("init", "--yes")

        assert command.status == 1
        assert "otp.toml exists" in command.err
        assert Path("otp.toml").read_text() == before

        command("init", "--yes", "--force")
        assert command.status == 0
        assert Path("otp.toml").read_text() != before

    def test_takes_its_answers_from_a_pipe(self, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without a word of Python's on an echo that no pipe has."""
        monkeypatch.setattr("sys.stdin", io.StringIO("\n\nhunter2\n\n\nHK\n"))
        command("init")

        assert command.status == 0
        assert "Warning" not in command.err
        assert "Password: Signature" in command.err
        assert config.load(Path("otp.toml"), {}).channels[0].password.get_secret_value() == "hunter2"

    def test_takes_every_answer_as_a_flag(self, command: Command) -> None:
        """Whatever characters they hold; a text of one's own serves every purpose."""
        given = ["--url", "https://sms.example.com/v2sms.aspx", "--account", 'a"b', "--password", "p\\w'%\"é"]
        command("init", *given, "--signature", "Acme", "--region", "US", "--text", "{{ code }} is it", "--yes")
        loaded = config.load(Path("otp.toml"), {})
        channel = loaded.channels[0]

        assert (channel.profile, channel.account) == ("v2", 'a"b')
        assert channel.password.get_secret_value() == "p\\w'%\"é"
        assert loaded.messages == {name: {"en": "{{ code }} is it"} for name in config.BUILT_IN_PURPOSES}
        assert loaded.purposes["signup"].locale == "en"

    @pytest.mark.parametrize("path", ["/smsGBK.aspx", "/v2smsGBK.aspx"])
    def test_writes_gbk_for_an_address_that_says_so(self, command: Command, path: str) -> None:
        """Such a gateway reads UTF-8 as rubbish, and says that a signature is missing."""
        command(
            "init",
            "--yes",
            "--url",
            f"https://sms.example.com{path}",
            "--account",
            "a",
            "--password",
            "b",
            "--signature",
            "今信科技",
        )
        assert config.load(Path("otp.toml"), {}).channels[0].charset == "gbk"
        assert 'encoding = "gbk"' in Path("otp.toml").read_text()

    def test_writes_nothing_that_could_not_start(self, command: Command) -> None:
        """The fault is said, and no file is left."""
        command("init", "--yes", "--text", "no code in here")

        assert command.status == 1
        assert "{{ code }}" in command.err
        assert not list(Path().iterdir())

    @pytest.mark.parametrize(
        ("text", "region", "messages"),
        [
            ("{{ code }} is it", "us", {name: {"en": "{{ code }} is it"} for name in config.BUILT_IN_PURPOSES}),
            ("", "US", {"login": {"en": DEFAULT_TEXTS["login"]["en"]}}),
            ("", "", {"login": {"zh-CN": DEFAULT_TEXTS["login"]["zh-CN"]}}),
        ],
    )
    def test_asks_for_url_account_password_signature_text_and_region_in_this_order(
        self, command: Command, monkeypatch: pytest.MonkeyPatch, text: str, region: str, messages: dict[str, Any]
    ) -> None:
        """The password by its variable here; a text that is only taken over is one of the region's language."""
        answers = ["https://sms.example.com/sms.aspx", "the account", "Acme", text, region, ""]
        monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(answers)))
        command("init", OTP_GATEWAY_PASSWORD="of the gateway")
        loaded = config.load(Path("otp.toml"), {})
        assert loaded.channels[0].url == answers[0]
        assert (loaded.channels[0].account, loaded.channels[0].signature) == ("the account", "Acme")
        assert loaded.service.default_region == (region.upper() or "CN")
        assert loaded.messages == messages

    def test_asks_for_what_yes_can_not_guess(self, command: Command) -> None:
        """A real gateway has no default account."""
        command("init", "--yes", "--url", "http://sms.example.com/sms.aspx")

        assert command.status == 2
        assert "--account" in command.err

    @pytest.mark.parametrize(
        ("path", "profile"),
        [
            ("/sms.aspx", "classic"),
            ("/smsGBK.aspx", "classic"),
            ("/v2sms.aspx", "v2"),
            ("//V2SMS.aspx", "v2"),
            ("/smsJson.aspx", "huaxin"),
            ("/20150822/industrySMS/sendSMS", "miaodi"),
            ("", "classic"),
        ],
    )
    def test_guesses_the_profile_from_the_address(self, path: str, profile: str) -> None:
        """By the path alone."""
        assert profile_of(f"http://sms.example.com{path}") == profile
