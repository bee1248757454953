"""How the tests speak to a running simulator: over real sockets, and by the public names only."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import md5
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import httpx

TEXT = "【今信科技】您的验证码是345678，5分钟内有效。"
NUMBER = "13800138000"


class Simulator:
    """A running simulator, and how to call it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.host, port = re.fullmatch(r"http://([0-9.]+):([0-9]+)/", url).groups()  # type: ignore[union-attr]
        self.port = int(port)
        self.http = httpx.Client(base_url=url, timeout=10, trust_env=False)

    def send(self, path: str = "/sms.aspx", **fields: str) -> httpx.Response:
        """Send one good message, except for what `fields` change."""
        return self.http.post(path, data={**self.fields(), **fields})

    @staticmethod
    def fields(**changes: str) -> dict[str, str]:
        good = {"action": "send", "userid": "12", "account": "demo", "password": "demo", "mobile": NUMBER}
        return {**good, "content": TEXT, "sendTime": "", "extno": "", **changes}

    def verdict(self, path: str = "/sms.aspx", **fields: str) -> dict[str, str]:
        return leaves(self.send(path, **fields))

    def messages(self, **query: str | int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.http.get("/api/messages", params=query).json()["messages"]
        return found

    def account(self, name: str = "demo", **settings: object) -> dict[str, Any]:
        answer = self.http.put(f"/api/accounts/{name}", json=settings)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def reports(self, **fields: str) -> list[dict[str, str]]:
        asked = {"action": "query", "account": "demo", "password": "demo", **fields}
        root = ElementTree.fromstring(self.http.post("/statusApi.aspx", data=asked).content)
        return [{leaf.tag: leaf.text or "" for leaf in box} for box in root]


def leaves(answer: httpx.Response) -> dict[str, str]:
    """The leaves of a `returnsms` answer."""
    return {leaf.tag: leaf.text or "" for leaf in ElementTree.fromstring(answer.content)}


def china_stamp(offset: float = 0) -> str:
    return time.strftime("%Y%m%d%H%M%S", time.gmtime(time.time() + 8 * 3600 + offset))


def signed(secret: str = "demo", offset: float = 0) -> dict[str, str]:
    """timestamp and sign, as v2 and miaodi want them."""
    stamp = china_stamp(offset)
    return {"timestamp": stamp, "sign": md5(f"demo{secret}{stamp}".encode()).hexdigest()}


def gbk_form(fields: dict[str, str]) -> bytes:
    return urlencode(fields, encoding="gbk").encode()


@contextmanager
def a_simulator(port: int = 0) -> Iterator[Simulator]:
    """A simulator in its own process, on that port or a free one."""
    command = [sys.executable, "-m", "otp_service.simulator", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    simulator = Simulator(process.stdout.readline().removeprefix("simulator ").strip())
    try:
        yield simulator
    finally:
        simulator.http.close()
        process.terminate()
        process.wait(5)
        process.stdout.close()
