"""Every recorded answer of a gateway leads to its outcome: through the API, the outbox, a worker and real HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.processes import until
from tests.raw_gateway import RawGateway, http_answer, says
from tests.service.conftest import Service, running_demo

ANSWERS: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "data" / "answers.json").read_text("utf-8"))
_SUCCESS = next(answer["body_base64"] for answer in ANSWERS if answer["name"] == "classic success")
_CHANNEL = """
[[channels]]
name = "{profile}"
protocol = "sms_aspx"
url = "http://{host}"
profile = "{profile}"
account = "demo"
password = "demo"
signature = "今信科技"
"""


@pytest.fixture(scope="module")
def said() -> list[bytes]:
    return []


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, said: list[bytes]) -> Iterator[Service]:
    with RawGateway(lambda line: says(said[-1])(line)) as gateway:
        config = tmp_path_factory.mktemp("answers") / "otp.toml"
        profiles = ("seed", "classic", "v2", "huaxin", "miaodi")
        channels = "".join(_CHANNEL.format(profile=profile, host=gateway.host) for profile in profiles)
        config.write_text('[limits]\nrecipient = ["1000/1h"]\nprefix = []\n' + channels, "utf-8")
        with running_demo(config) as service:
            yield service


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer["name"])
def test_an_answer_gets_its_outcome(service: Service, said: list[bytes], answer: dict[str, Any]) -> None:
    blanks = b" " * (1 << 20) if "body_recipe" in answer else b""
    body = blanks + base64.b64decode(answer["body_base64"] or _SUCCESS if blanks else answer["body_base64"])
    said.append(http_answer(answer["http_status"], body, answer["headers"]))
    start = {"to": answer["mobile"], "purpose": "login", "session": answer["name"], "channel": answer["profile"]}
    id = service.api.post("/v1/verifications", json=start).json()["id"]

    only = _first_try(service, id)
    assert only["outcome"] == answer["outcome"]
    if answer["reason"]:
        assert only["reason"] == answer["reason"]


def _first_try(service: Service, id: str) -> dict[str, Any]:
    tries: list[dict[str, Any]] = []

    def has_outcome() -> bool:
        tries[:] = service.api.get(f"/v1/verifications/{id}").json()["tries"]
        return bool(tries and tries[0]["outcome"])

    until(has_outcome, "the try has an outcome")
    return tries[0]
