"""`deploy/kubernetes.yaml`, without a cluster: Kubernetes knows every field, and the product every word in it."""

from __future__ import annotations

import copy
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from prometheus_client import CollectorRegistry
from werkzeug.test import Client

from otp_service import config
from otp_service.cli import cli
from otp_service.cli.api_server import GRACE_SECONDS
from otp_service.config import Config
from otp_service.config.sections import DRAIN_SECONDS
from otp_service.web.admin import admin_app
from otp_service.web.health import Readiness
from tests.kubernetes_models import faults
from tests.operator.test_runbook import parse
from tests.rolling.test_rolls import PRE_STOP_SECONDS
from tests.test_packaging import last_stage

ROOT = Path(__file__).parents[1]
FILE = ROOT / "deploy/kubernetes.yaml"
PAGE = (ROOT / "docs/deploy.md").read_text("utf-8")
TYPED = sorted(set(re.findall(r"otp-service ([a-z][a-z -]*[a-z])(?=`| >|$)", PAGE, re.MULTILINE)))
DOCUMENTS: list[dict[str, Any]] = list(yaml.safe_load_all(FILE.read_text("utf-8")))
NAMES = [f"{document['kind']}/{document['metadata']['name']}" for document in DOCUMENTS]
ROLES = {"api": "serve", "worker": "worker"}
"""Each Deployment's component, and the command that it runs."""
SPARE_SECONDS = 3
"""Of the time until the kill, what is left over when a stop takes the longest."""


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [document for document in DOCUMENTS if document["kind"] == kind]


def deployment(component: str) -> dict[str, Any]:
    [found] = [one for one in of_kind("Deployment") if one["metadata"]["name"] == f"otp-service-{component}"]
    return found


def pod(component: str) -> dict[str, Any]:
    spec: dict[str, Any] = deployment(component)["spec"]["template"]["spec"]
    return spec


def container(component: str) -> dict[str, Any]:
    [only] = pod(component)["containers"]
    return dict(only)


each_role = pytest.mark.parametrize("component", ROLES)


# --- Kubernetes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_kubernetes_knows_every_field(document: dict[str, Any]) -> None:
    assert faults(document) == []


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (("spec", "replica"), 2, "Deployment.spec.replica: there is no such field"),
        (("spec", "replicas"), "two", "Deployment.spec.replicas: 'two' is no int"),
        (("spec", "replicas"), True, "Deployment.spec.replicas: True is no int"),
        (("spec", "selector"), None, "Deployment.spec.selector: no table"),
        (("spec", "template", "spec", "containers"), {}, "Deployment.spec.template.spec.containers: no list"),
    ],
)
def test_a_slip_would_be_seen(path: tuple[str, ...], value: object, fault: str) -> None:
    document = copy.deepcopy(deployment("api"))
    table = document
    for key in path[:-1]:
        table = table[key]
    table[path[-1]] = value
    assert faults(document) == [fault]


def test_a_missing_field_would_be_seen() -> None:
    document = copy.deepcopy(deployment("api"))
    del document["spec"]["selector"]
    assert faults(document) == ["Deployment.spec.selector: missing"]


def test_it_is_for_whatever_namespace_it_is_applied_to() -> None:
    assert not [name for name, one in zip(NAMES, DOCUMENTS, strict=True) if "namespace" in one["metadata"]]
    assert len(set(NAMES)) == len(NAMES)
    assert not of_kind("Secret"), "a secret in a file of a repository is none"


# --- what belongs together --------------------------------------------------------------------------------------------


def selectors() -> Iterator[tuple[str, dict[str, str]]]:
    """Every selector of pods in the file, and where it stands."""
    for name, document in zip(NAMES, DOCUMENTS, strict=True):
        spec = document.get("spec", {})
        selector = spec.get("selector") or spec.get("podSelector")
        if selector:
            yield name, selector.get("matchLabels", selector)
        for spread in spec.get("template", {}).get("spec", {}).get("topologySpreadConstraints", ()):
            yield f"{name} spread", spread["labelSelector"]["matchLabels"]


@pytest.mark.parametrize(
    ("name", "labels"), list(selectors()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_selector_finds_the_pods_that_are_meant(name: str, labels: dict[str, str]) -> None:
    pods = {role: deployment(role)["spec"]["template"]["metadata"]["labels"] for role in ROLES}
    found = {role for role, has in pods.items() if labels.items() <= has.items()}
    meant = {role for role in ROLES if name.removesuffix(" spread").endswith(f"-{role}")}
    if not meant:
        meant = {"api"} if name.startswith("Service/") else set(ROLES)
    assert found == meant


@each_role
def test_a_disruption_takes_one_pod_of_a_role_at_a_time(component: str) -> None:
    [budget] = [one for one in of_kind("PodDisruptionBudget") if one["metadata"]["name"].endswith(f"-{component}")]
    assert budget["spec"]["maxUnavailable"] == 1
    assert deployment(component)["spec"]["replicas"] >= 2


@each_role
def test_a_roll_never_has_fewer_pods_than_before(component: str) -> None:
    assert deployment(component)["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_the_service_and_the_policy_name_ports_that_there_are() -> None:
    [service], [policy] = of_kind("Service"), of_kind("NetworkPolicy")
    ports = {port["name"] for role in ROLES for port in container(role)["ports"]}
    assert [port["targetPort"] for port in service["spec"]["ports"]] == ["http"]
    assert {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]} == ports == {"http", "admin"}


# --- the product ------------------------------------------------------------------------------------------------------


@each_role
def test_the_command_is_one_of_ours(component: str) -> None:
    only = container(component)
    assert "command" not in only, "the image's entry point runs it"
    assert json.loads(last_stage("ENTRYPOINT")) == ["otp-service"]
    assert only["args"] == [ROLES[component]]
    assert CliRunner().invoke(cli, [*only["args"], "--help"]).exit_code == 0


@pytest.fixture
def loaded(tmp_path: Path) -> Config:
    """The ConfigMap's file, where the volumes put it, with a Secret as the page tells people to make it."""
    [config_map] = of_kind("ConfigMap")
    [(name, text)] = config_map["data"].items()
    mount = secrets_mount()
    for file, value in secrets_of_the_page().items():
        (tmp_path / file).write_text(value)
    path = tmp_path / name
    path.write_text(text.replace(mount, str(tmp_path)), "utf-8")
    return config.load(path, {})


def secrets_mount() -> str:
    [mount] = [one["mountPath"] for one in container("api")["volumeMounts"] if one["name"] == "secrets"]
    return str(mount)


def secrets_of_the_page() -> dict[str, str]:
    """A value for each file of the Secret that docs/deploy.md makes."""
    command = PAGE.partition("kubectl create secret generic otp-service")[2].partition("```")[0]
    made = json.loads(CliRunner().invoke(cli, ["secrets", "new", "--json"]).output)
    values = {
        "redis_url": "redis://otp:hunter2@redis:6379/0",
        "secret_keys": ",".join(made["secret_keys"]),
        "fingerprint_key": made["fingerprint_key"],
        "gateway_password": "as-the-gateway-gave-it",
    }
    assert set(re.findall(r"--from-file=(\w+)", command)) == set(values)
    return values


def test_our_own_loader_takes_its_configuration(loaded: Config) -> None:
    assert loaded.redis.url.get_secret_value() == "redis://otp:hunter2@redis:6379/0"
    assert loaded.channels[0].password.get_secret_value() == "as-the-gateway-gave-it"
    assert loaded.service.watch_files, "nobody sends a SIGHUP there"


@pytest.mark.parametrize(
    "typed", sorted(set(re.findall(r"otp-service ((?:[a-z]+ )?[a-z]+[^`>\n]*?)(?=`| >|$)", PAGE, re.M)))
)
def test_the_page_names_commands_that_can_be_typed(typed: str) -> None:
    parse(cli, shlex.split(typed))


@each_role
def test_every_mount_is_where_the_product_looks(component: str) -> None:
    [config_map] = of_kind("ConfigMap")
    volumes = {volume["name"]: volume for volume in pod(component)["volumes"]}
    mounts = {mount["mountPath"]: mount for mount in container(component)["volumeMounts"]}
    assert {mount["name"] for mount in mounts.values()} == set(volumes)
    [place] = re.findall(r"OTP_CONFIG=(\S+)", last_stage("ENV"))
    [file] = config_map["data"]
    assert str(Path(place).parent / file) == place
    assert volumes[mounts[str(Path(place).parent)]["name"]]["configMap"]["name"] == config_map["metadata"]["name"]
    assert not any("subPath" in mount for mount in mounts.values()), "a file mounted so never changes"
    files = set(re.findall(r'_file = "([^"]+)/\w+"', config_map["data"][file]))
    assert files == {secrets_mount()}
    assert all(mounts[str(place)]["readOnly"] for place in (Path(place).parent, secrets_mount()))


@each_role
def test_ports_and_probes_agree_with_what_the_process_binds(component: str, loaded: Config) -> None:
    ports = {port["name"]: port["containerPort"] for port in container(component)["ports"]}
    admin = (loaded.delivery.admin_bind if component == "worker" else None) or loaded.service.admin_bind
    assert ports.pop("admin") == admin.port
    assert ports == ({"http": loaded.service.bind.port} if component == "api" else {})
    assert admin.host == loaded.service.bind.host == "0.0.0.0"
    pages = admin_app(lambda: Readiness(draining=False, redis_up=True), CollectorRegistry())
    for probe, path in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
        asked = container(component)[probe]["httpGet"]
        assert asked == {"path": path, "port": "admin"}
        assert Client(pages).get(path).status_code == 200


@each_role
def test_the_kill_comes_after_the_longest_stop(component: str, loaded: Config) -> None:
    before = container(component).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    longest = DRAIN_SECONDS if component == "api" else loaded.delivery.drain_seconds
    assert before + longest + SPARE_SECONDS <= pod(component)["terminationGracePeriodSeconds"]
    assert (before > 0) == (component == "api")


def test_the_roll_that_is_tested_has_the_times_of_this_file() -> None:
    assert container("api")["lifecycle"]["preStop"]["sleep"]["seconds"] == PRE_STOP_SECONDS


def test_a_balancer_sees_the_drain_before_it_ends() -> None:
    probe = container("api")["readinessProbe"]
    # A pod that is deleted leaves the Service at once; this is for who asks /readyz by himself.
    assert probe["periodSeconds"] < GRACE_SECONDS


@each_role
def test_a_pod_has_no_right_that_it_does_not_need(component: str) -> None:
    spec, only = pod(component), container(component)
    user, group = last_stage("USER").split(":")
    security = spec["securityContext"]
    assert spec["enableServiceLinks"] is False
    assert spec["automountServiceAccountToken"] is False
    assert security["runAsNonRoot"] is True
    assert (security["runAsUser"], security["runAsGroup"], security["fsGroup"]) == (int(user), int(group), int(group))
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & spec.keys()
    assert {"cpu", "memory"} == only["resources"]["requests"].keys()
    assert "memory" in only["resources"]["limits"]
    [secret] = [volume["secret"] for volume in spec["volumes"] if volume["name"] == "secrets"]
    assert not secret["defaultMode"] & 0o007
