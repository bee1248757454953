"""A configuration that changes while a process runs: what is taken over, what is refused, and what the log says."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from otp_service import config
from otp_service.cli.reloading import FORGET_SECONDS, Asked, Reloader, Remains, Site, Source
from otp_service.config import Config
from tests.test_config import EXAMPLE, FINGERPRINT_KEY, new_key

WATCHED = EXAMPLE.replace("[service]\n", "[service]\nwatch_files = true\n", 1)


@dataclass
class Process:
    """What runs, without what it serves."""

    file: Path
    environ: dict[str, str] = field(default_factory=dict)
    taken: list[Config] = field(default_factory=list)
    asked: Asked = field(default_factory=Asked)

    def __post_init__(self) -> None:
        self.source = Source(self.file, self.environ)
        self.reloader = Reloader(self.source, self.source.load(), self.asked)

    def write(self, text: str) -> None:
        """In place of the old, and surely with another stamp, however coarse the clock of the file system is."""
        before = self.file.stat().st_mtime_ns
        self.file.write_text(text, "utf-8")
        os.utime(self.file, ns=(before + 1_000_000, before + 1_000_000))

    def is_due(self) -> bool:
        """Whether one of two looks finds something to do."""
        return self.reloader.is_due() or self.reloader.is_due()

    def renew(self) -> tuple[bool, list[str]]:
        """Whether it was taken over, and the faults that the log names."""
        with capture_logs() as lines:
            renewed = self.reloader.renew(self.taken.append)
        return renewed, [line["fault"] for line in lines if line["log_level"] == "error" and "fault" in line]


@pytest.fixture
def process(tmp_path: Path) -> Process:
    file = tmp_path / "otp.toml"
    file.write_text(WATCHED, "utf-8")
    return Process(file)


def reloads(result: str) -> float:
    return REGISTRY.get_sample_value("otp_config_reloads_total", {"result": result}) or 0.0


class TestWhen:
    def test_a_signal_asks_once(self, process: Process) -> None:
        process.asked.ask()
        process.asked.ask()
        assert process.is_due()
        assert not process.is_due()

    def test_a_changed_file_is_due_when_it_stays_as_it_is(self, process: Process) -> None:
        """At the first look somebody may be in the midst of writing it."""
        assert not process.is_due()
        process.write(WATCHED + "#")
        assert not process.reloader.is_due()
        process.write(WATCHED + "##")
        assert not process.reloader.is_due()
        assert process.reloader.is_due()
        process.renew()
        assert not process.is_due()

    def test_files_are_watched_only_where_that_is_wanted(self, process: Process) -> None:
        process.write(EXAMPLE)
        process.renew()
        process.write(EXAMPLE + "#")
        assert not process.is_due()

    def test_a_secret_in_a_file_of_its_own_is_watched(self, tmp_path: Path) -> None:
        secret, file = tmp_path / "password", tmp_path / "otp.toml"
        secret.write_text("first-word")
        file.write_text(WATCHED.replace('password = "hunter2-of-the-file"', 'password_file = "password"'), "utf-8")
        process = Process(file)
        assert not process.is_due()
        secret.write_text("another-word")
        assert process.is_due()
        assert process.renew() == (True, [])
        assert process.taken[0].channels[0].password.get_secret_value() == "another-word"

    def test_a_list_of_numbers_is_watched(self, tmp_path: Path) -> None:
        blocked, file = tmp_path / "blocked", tmp_path / "otp.toml"
        blocked.write_text("+8613800138000\n")
        file.write_text(WATCHED + '[recipients]\nblock_file = "blocked"\n', "utf-8")
        process = Process(file)
        assert not process.is_due()
        blocked.write_text("+8613800138000\n+8613900139000\n")
        assert process.is_due()
        assert process.renew() == (True, [])

    def test_a_mounted_folder_is_changed_by_pointing_a_link_elsewhere(self, tmp_path: Path) -> None:
        """As Kubernetes does with a ConfigMap: the new folder is there whole before anybody sees it."""
        for name, text in (("..first", WATCHED), ("..second", WATCHED.replace("max_sends = 4", "max_sends = 3"))):
            (tmp_path / name).mkdir()
            (tmp_path / name / "otp.toml").write_text(text, "utf-8")
        (tmp_path / "..data").symlink_to("..first")
        (tmp_path / "otp.toml").symlink_to("..data/otp.toml")
        process = Process(tmp_path / "otp.toml")
        assert not process.is_due()
        (tmp_path / "..tmp").symlink_to("..second")
        (tmp_path / "..tmp").rename(tmp_path / "..data")
        assert process.is_due()
        assert process.renew() == (True, [])
        assert process.taken[0].purposes["login"].max_sends == 3


class TestWhat:
    def test_a_change_is_taken_over_and_counted(self, process: Process) -> None:
        before = reloads("applied")
        process.write(WATCHED.replace("ttl = 300", "ttl = 240").replace("5分钟", "4分钟"))
        assert process.renew() == (True, [])
        assert process.reloader.running is process.taken[0]
        assert process.taken[0].purposes["login"].ttl == 240
        assert reloads("applied") == before + 1

    def test_a_faulty_one_changes_nothing_and_is_named(self, process: Process) -> None:
        before, running = reloads("refused"), process.reloader.running
        process.write(WATCHED.replace("max_sends = 4", "max_sends = 40").replace("ttl = 300", "tttl = 300"))
        renewed, faults = process.renew()
        assert not renewed
        assert [fault.split(":")[0] for fault in faults] == ["purposes.login.max_sends", "purposes.login.tttl"]
        assert process.reloader.running is running
        assert not process.taken
        assert reloads("refused") == before + 1
        assert not process.is_due(), "it is looked at again when it changes again"
        process.write(WATCHED)
        assert process.is_due()
        assert process.renew() == (True, [])

    def test_a_lost_file_changes_nothing(self, process: Process) -> None:
        process.file.unlink()
        assert process.is_due()
        renewed, faults = process.renew()
        assert not renewed
        assert "No such file" in faults[0]

    def test_no_secret_is_in_what_the_log_says(self, process: Process) -> None:
        process.write(WATCHED.replace('signature = "今信科技"', 'signature = "x"'))
        with capture_logs() as lines:
            process.reloader.renew(process.taken.append)
        assert lines
        assert "hunter2" not in str(lines)
        assert FINGERPRINT_KEY not in str(lines)

    @pytest.mark.parametrize(
        ("key", "old", "new"),
        [
            ("service.bind", "127.0.0.1:8000", "127.0.0.1:8001"),
            ("service.admin_bind", "127.0.0.1:9000", "127.0.0.1:9001"),
            ("service.fingerprint_key", FINGERPRINT_KEY, new_key()),
            ("redis.url", "localhost:6379/0", "localhost:6379/1"),
            ("redis.prefix", 'prefix = "otp"', 'prefix = "otp2"'),
            ("redis.allow_eviction", 'prefix = "otp"', "allow_eviction = true"),
            ("delivery.admin_bind", "[routing]", '[delivery]\nadmin_bind = "127.0.0.1:9002"\n[routing]'),
        ],
        ids=lambda value: value if value.partition(".")[0] in {"service", "redis", "delivery"} else "",
    )
    def test_what_needs_a_restart_is_refused(self, process: Process, key: str, old: str, new: str) -> None:
        """And with it the rest of that file: half a configuration is none that anybody wrote."""
        process.write(WATCHED.replace(old, new, 1).replace("max_sends = 4", "max_sends = 3"))
        renewed, faults = process.renew()
        assert not renewed
        assert faults == [f"{key}: needs a restart; put the old value back, or restart every process"]
        assert process.reloader.running.purposes["login"].max_sends == 4

    def test_what_can_not_be_built_is_refused(self, process: Process) -> None:
        """A certificate that is not there, an address that is taken: the process goes on as it was."""

        def fall(_: Config) -> None:
            raise OSError("+8613800138000")

        with capture_logs() as lines:
            assert not process.reloader.renew(fall)
        assert "OSError while it was put in place" in str(lines)
        assert process.reloader.running.purposes["login"].max_sends == 4


class TestRemains:
    """Of what was replaced, connections that stay open until it is collected."""

    def collected(self, replaced: range, seconds: int) -> list[int]:
        remains, at = Remains(), []
        for now in range(1000, 1000 + seconds):
            if now - 1000 in replaced:
                remains.grow(now)
            if remains.are_due(now):
                at.append(now - 1000)
        return at

    def test_they_are_collected_once_nobody_needs_them(self) -> None:
        assert self.collected(range(5, 6), 100) == [5 + FORGET_SECONDS]

    def test_one_reload_after_another_does_not_put_it_off(self) -> None:
        """And the last one is collected as well."""
        at = self.collected(range(60), 200)
        assert at[0] == FORGET_SECONDS
        assert all(after - before <= FORGET_SECONDS + 1 for before, after in itertools.pairwise(at))
        assert at[-1] == 59 + FORGET_SECONDS

    def test_nothing_is_collected_where_nothing_was_replaced(self) -> None:
        assert self.collected(range(0), 100) == []


class TestMark:
    """What tells on every process whether it goes by the same configuration."""

    def mark(self, text: str = EXAMPLE, environ: dict[str, str] | None = None) -> str:
        return config.parse(config.read_text(text, Path()), environ or {}, Path()).mark()

    def test_the_same_file_has_the_same(self) -> None:
        assert self.mark() == self.mark() == self.mark(EXAMPLE + "# a comment")
        assert self.mark().isalnum()

    def test_what_was_asked_of_it_before_does_not_count(self) -> None:
        loaded = config.parse(config.read_text(EXAMPLE, Path()), {}, Path())
        before = loaded.mark()
        loaded.rules()
        assert loaded.mark() == before

    @pytest.mark.parametrize(
        ("old", "new"),
        [("max_sends = 4", "max_sends = 3"), ("hunter2-of-the-file", "another-one"), ("10/24h", "11/24h")],
    )
    def test_every_value_counts(self, old: str, new: str) -> None:
        assert self.mark(EXAMPLE.replace(old, new)) != self.mark()

    def test_addresses_to_listen_at_are_each_process_s_own(self) -> None:
        own = {"OTP_SERVICE__BIND": "0.0.0.0:1", "OTP_DELIVERY__ADMIN_BIND": "0.0.0.0:2"}
        assert self.mark(environ=own) == self.mark()


def test_a_request_ends_with_the_application_that_it_met() -> None:
    """While it is answered another takes its place, and gets those that come."""
    met, go_on = threading.Event(), threading.Event()

    def old(*_: Any) -> list[bytes]:
        met.set()
        go_on.wait(30)
        return [b"old"]

    site, answers = Site(old), []
    ask: Callable[[], None] = lambda: answers.append(b"".join(site({}, lambda *_: lambda _: None)))  # noqa: E731
    under_way = threading.Thread(target=ask)
    under_way.start()
    assert met.wait(30)
    site.put(lambda *_: [b"new"])
    ask()
    go_on.set()
    under_way.join()
    assert answers == [b"new", b"old"]
