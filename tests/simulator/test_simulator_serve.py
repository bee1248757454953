"""The simulator as a library: what it exports, what it needs, and how it is embedded."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import httpx
import pytest

import otp_service.simulator
from otp_service.simulator import Settings, serve


def test_the_public_list_is_short() -> None:
    assert otp_service.simulator.__all__ == ["DEMO", "Settings", "run", "serve"]


def test_it_is_the_other_side_of_the_wire_and_imports_nothing_of_the_service() -> None:
    listed = "import sys, otp_service.simulator; print(*(n for n in sys.modules if n.startswith('otp_service.')))"
    done = subprocess.run([sys.executable, "-c", listed], capture_output=True, text=True, check=True)
    foreign = {name for name in done.stdout.split() if not name.startswith("otp_service.simulator")}
    assert foreign <= {"otp_service.errors"}


def test_cancelling_serve_stops_it_and_frees_the_port() -> None:
    async def scenario() -> None:
        ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(serve(Settings(port=0), ready=ready.set_result))
        port = await ready
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            assert (await client.get("/livez")).status_code == 200
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        again: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        second = asyncio.create_task(serve(Settings(port=port), ready=again.set_result))
        assert await again == port
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)

    asyncio.run(scenario())


def test_only_the_newest_messages_are_kept() -> None:
    """Bounded memory: the oldest are forgotten."""

    async def scenario() -> list[str]:
        ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(serve(Settings(port=0, keep=2), ready=ready.set_result))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{await ready}", trust_env=False) as client:
            for digit in "123":
                fields = {"action": "send", "account": "demo", "password": "demo", "mobile": "1380013800" + digit}
                await client.post("/sms.aspx", data={**fields, "content": "【今信科技】您的验证码是345678"})
            kept = (await client.get("/api/messages")).json()["messages"]
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        return [message["mobile"][-1] for message in kept]

    assert asyncio.run(scenario()) == ["3", "2"]


def test_a_further_host_name_may_be_allowed() -> None:
    async def scenario() -> list[int]:
        ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        settings = Settings(port=0, allowed_hosts=("inbox.test",))
        serving = asyncio.create_task(serve(settings, ready=ready.set_result))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{await ready}", trust_env=False) as client:
            names = ("inbox.test", "Inbox.Test:8025", "other.test")
            statuses = [(await client.get("/api/log", headers={"host": name})).status_code for name in names]
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        return statuses

    assert asyncio.run(scenario()) == [200, 200, 403]
