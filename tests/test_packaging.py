"""What is shipped: the locks, the image, the compose file and its first start, and the image's health check."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import ssl
import subprocess
import sys
import sysconfig
import threading
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from otp_service import config
from otp_service.errors import ConfigError
from otp_service.health import is_alive, livez_address

ROOT = Path(__file__).parents[1]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
GROUPS = PROJECT["dependency-groups"]
RUNTIME = PROJECT["project"]["dependencies"]
EXTRAS = PROJECT["project"]["optional-dependencies"]
DEMO, EMAIL = EXTRAS["demo"], EXTRAS["email"]
BUILD = GROUPS["build"]


def locked(name: str) -> dict[str, list[str]]:
    """The versions of each package in a lock; more than one where they differ by platform."""
    found: dict[str, list[str]] = {}
    text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
    for package, version in re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE):
        found.setdefault(package, []).append(version)
    return found


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("runtime", RUNTIME + EMAIL),
        ("demo", RUNTIME + DEMO + EMAIL + BUILD),
        ("build", BUILD),
        ("dev", RUNTIME + DEMO + BUILD + GROUPS["test"] + GROUPS["lint"] + GROUPS["examples"]),
    ],
)
def test_a_lock_holds_what_pyproject_asks_for(name: str, asked: list[str]) -> None:
    versions = locked(name)
    for requirement in map(Requirement, asked):
        assert versions.get(requirement.name), f"{requirement.name} is not locked: make lock"
        assert all(version in requirement.specifier for version in versions[requirement.name]), str(requirement)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_names_no_host_and_gives_every_package_a_hash(lock: Path) -> None:
    text = lock.read_text("utf-8")
    assert not re.search(r"https?://|index-url|find-links", text)
    packages = re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.MULTILINE)[1:]
    assert packages
    assert all("--hash=sha256:" in package for package in packages)


def test_the_lock_of_a_rival_names_no_host_either() -> None:
    """npm writes where a package came from, and whom to pay for it, unless it is told not to."""
    text = (ROOT / "bench" / "fastify" / "package-lock.json").read_text("utf-8")
    assert not re.search(r"https?:", text)
    packages = [one for path, one in json.loads(text)["packages"].items() if path]
    assert packages
    assert all(one["integrity"].startswith("sha512-") for one in packages)


def test_a_package_has_the_same_version_in_every_lock() -> None:
    dev = locked("dev")
    for lock in LOCKS:
        assert all(dev[package] == versions for package, versions in locked(lock.stem).items())


def stages() -> list[list[tuple[str, str]]]:
    """Each stage of the Dockerfile as its instructions, without the lines before the first."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    found: list[list[tuple[str, str]]] = []
    for word, _, rest in (line.partition(" ") for line in lines if line):
        if word == "FROM":
            found.append([])
        if found:
            found[-1].append((word, rest))
    return found


def last_stage(word: str) -> str:
    return next(rest for instruction, rest in stages()[-1] if instruction == word)


def is_sent_to_the_builder(path: str) -> bool:
    """By .dockerignore, whose last fitting line decides."""
    rules = [line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line and line[0] != "#"]
    fitting = [rule for rule in rules if fnmatch(path.partition("/")[0], rule.removeprefix("!"))]
    return fitting[-1].startswith("!")


def test_every_file_that_the_image_copies_is_there_and_sent_to_the_builder() -> None:
    sources = [
        source
        for word, rest in stages()[0]
        if word == "COPY"
        for source in shlex.split(rest)[:-1]
        if not source.startswith("--")
    ]
    assert {"pyproject.toml", "otp_service", "requirements/runtime.txt"} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists(), source
        assert is_sent_to_the_builder(source), source
    assert not is_sent_to_the_builder("tests")


def test_the_image_copies_what_the_wheel_is_built_from() -> None:
    copied = " ".join(rest for word, rest in stages()[0] if word == "COPY").split()
    wanted = [PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]]
    assert set(wanted + PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) <= set(copied)


def test_the_image_installs_by_hash_and_builds_nothing_where_it_runs() -> None:
    installs = re.findall(
        r"pip .*?install (.*?)(?= &&|$)", " && ".join(rest for word, rest in stages()[0] if word == "RUN")
    )
    assert len(installs) == 3
    assert all("--require-hashes" in install or "--no-deps --no-index" in install for install in installs)
    assert not re.search(r"pip|apt|gcc|hatch", last_stage("RUN"))


def test_the_image_leaves_nothing_for_each_process_to_compile() -> None:
    """Who runs it may write no .pyc; ours are compiled by pip, Python's own by a line of the last stage."""
    line = next(rest for word, rest in stages()[-1] if word == "RUN" and "compileall" in rest)
    left_out = re.search(r"-x '([^']+)'", line)
    assert left_out
    needed = [module.__file__ for module in (asyncio, json, ssl, sysconfig) if module.__file__]
    assert len(needed) == 4
    assert not [file for file in needed if re.search(left_out[1], file)]
    assert last_stage("USER") not in line


def test_the_image_runs_any_role_as_nobody_special() -> None:
    assert last_stage("USER").split(":")[0] not in {"", "0", "root"}
    assert json.loads(last_stage("ENTRYPOINT")) == ["otp-service"]
    assert json.loads(last_stage("CMD")) == ["serve"]
    assert last_stage("STOPSIGNAL") == "SIGTERM"
    assert "OTP_CONFIG=/etc/otp-service/otp.toml" in last_stage("ENV")
    assert 'CMD ["python", "-m", "otp_service.health"]' in last_stage("HEALTHCHECK")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    return document


def test_compose_publishes_ports_to_this_machine_only_and_the_store_not_at_all(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert sorted(ports) == ["127.0.0.1:8000:8000", "127.0.0.1:8025:8025"]
    assert "ports" not in compose["services"]["valkey"]


def test_compose_has_a_store_that_neither_evicts_nor_forgets(compose: dict[str, Any]) -> None:
    command = " ".join(compose["services"]["valkey"]["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command
    assert compose["services"]["valkey"]["volumes"] == ["valkey:/data"]


def test_compose_starts_a_service_when_what_it_needs_is_well(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert services[needed]["healthcheck"]["test"], f"{name} waits for {needed}, which has no health check"
    assert set(services["api"]["depends_on"]) == {"setup", "valkey"}
    assert set(services["worker"]["depends_on"]) == {"setup", "valkey", "simulator"}


def test_compose_mounts_only_files_that_are_there_and_names_its_volumes(compose: dict[str, Any]) -> None:
    mounts = [mount.split(":") for service in compose["services"].values() for mount in service.get("volumes", [])]
    for source in (mount[0] for mount in mounts):
        assert (ROOT / source).is_dir() if source.startswith(".") else source in compose["volumes"]
    setup = compose["services"]["setup"]
    for word in (setup["entrypoint"][1], setup["command"][0]):
        assert (ROOT / "deploy" / Path(word).name).is_file()


def run_setup(folder: Path) -> Path:
    """What the service `setup` does, with this project's own command line."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    (programs / "otp-service").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m otp_service.cli "$@"\n')
    (programs / "otp-service").chmod(0o755)
    command = ["sh", str(ROOT / "deploy/setup.sh"), str(ROOT / "deploy/otp.compose.toml"), str(folder)]
    environ = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    subprocess.run(command, check=True, env=environ, stdout=subprocess.DEVNULL)
    return folder / "otp.toml"


def test_the_first_start_makes_secrets_of_its_own_and_later_ones_keep_them(tmp_path: Path) -> None:
    path = run_setup(tmp_path)
    first = config.load(path, {})
    assert first.clients[0].name == "shop"
    assert (tmp_path / "shop.key").read_text().startswith("otp_")
    assert not path.stat().st_mode & 0o077
    assert config.load(run_setup(tmp_path), {}) == first


def test_the_compose_configuration_reaches_the_other_services_by_their_names(
    compose: dict[str, Any], tmp_path: Path
) -> None:
    loaded = config.load(run_setup(tmp_path), {})
    hosts = [loaded.redis.url.get_secret_value(), *(channel.url for channel in loaded.channels)]
    assert {re.sub(r"^\w+://([a-z]+):.*", r"\1", host) for host in hosts} == {"valkey", "simulator"}
    assert {"valkey", "simulator"} <= set(compose["services"])
    assert loaded.service.bind.port == 8000


def test_no_secret_that_would_work_is_in_the_template() -> None:
    with pytest.raises(ConfigError, match=r"service\.secret_keys"):
        config.load(ROOT / "deploy/otp.compose.toml", {})


ADMIN_BINDS = '[service]\nadmin_bind = "0.0.0.0:9100"\n[delivery]\nadmin_bind = "10.0.0.7:9200"\n'


@pytest.mark.parametrize(
    ("command", "environ", "address"),
    [
        ("python otp-service serve", {}, "127.0.0.1:9100"),
        ("python otp-service worker", {}, "10.0.0.7:9200"),
        ("python otp-service worker", {"OTP_DELIVERY__ADMIN_BIND": "[::]:9300"}, "[::1]:9300"),
        ("python otp-service serve", {"OTP_SERVICE__ADMIN_BIND": "127.0.0.1:9400"}, "127.0.0.1:9400"),
        ("python otp-service serve", {"OTP_CONFIG": ""}, "127.0.0.1:9000"),
        ("python otp-service simulator --host 0.0.0.0", {}, "127.0.0.1:8025"),
        ("docker-init -- otp-service simulator --port=8030", {}, "127.0.0.1:8030"),
    ],
)
def test_the_health_check_asks_where_the_role_answers(
    command: str, environ: dict[str, str], address: str, tmp_path: Path
) -> None:
    file = tmp_path / "otp.toml"
    file.write_text(ADMIN_BINDS)
    assert livez_address(command, {"OTP_CONFIG": str(file), **environ}) == address


def test_the_health_check_reads_the_file_that_the_command_names(tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text(ADMIN_BINDS)
    assert livez_address(f"otp-service serve --config {file}", {}) == "127.0.0.1:9100"


@pytest.fixture
def livez(request: pytest.FixtureRequest) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(request.param if self.path == "/livez" else 404)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("livez", "alive"), [(200, True), (503, False)], indirect=["livez"])
def test_only_a_200_is_alive(livez: str, alive: bool) -> None:
    assert is_alive(livez) is alive


def test_nobody_there_is_not_alive() -> None:
    assert not is_alive("127.0.0.1:1")
