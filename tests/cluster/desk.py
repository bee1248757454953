"""Who runs an installation on a cluster, by the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from otp_service import config as configuration
from otp_service import wiring
from otp_service.config import Config
from otp_service.policy import Client
from otp_service.verifier import StartRequest, Verifier
from tests.cli.conftest import Command
from tests.cluster.nodes import Cluster
from tests.world import NUMBER

APP = Client("app", frozenset({"login", "signup", "password_reset"}))


class Desk:
    """Who runs the installation. What is started here no worker sends."""

    def __init__(self, command: Command, cluster: Cluster) -> None:
        self.command = command
        self.environ = {"OTP_REDIS__URL": cluster.url, "OTP_LIMITS__FAILURES": "2/1h"}
        self.made = command("init", "--yes")

    def __call__(self, *arguments: str, **environ: str) -> str:
        return self.command(*arguments, **{**self.environ, **environ})

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))

    @property
    def config(self) -> Config:
        return configuration.load(Path("otp.toml"), self.environ)

    def verifier(self) -> Verifier:
        return wiring.build_verifier(self.config)

    def start(self, to: str = NUMBER, session: str | None = None) -> str:
        asked = StartRequest(
            to, "login", session=session, client_ip="192.0.2.1", device="d", metadata={"order": "seven"}
        )
        return self.verifier().start(APP, asked).verification.id

    def acts(self) -> list[str]:
        return list(dict.fromkeys(act["act"] for act in self.json("audit")))
