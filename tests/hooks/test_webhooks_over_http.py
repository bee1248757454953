"""From the configuration to a receiver of real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from otp_service import config, wiring
from otp_service.ports import HookState
from tests.hooks.hook_world import MASK, SECRET, Got, HookWorld, new_secret
from tests.raw_gateway import RawGateway, http_answer, resets, says
from tests.test_config import tables
from tests.world import Server


def configured(*gateways: RawGateway) -> config.Config:
    document = tables()
    document["webhooks"] = [
        {
            "name": f"receiver-{index}",
            "url": f"http://{gateway.host}/events?token=s3cret",
            "secrets": [SECRET if index == 0 else new_secret(f"{index}")],
            "allow": [gateway.host],
        }
        for index, gateway in enumerate(gateways)
    ]
    return config.parse(document, {}, Path())


def run(loaded: config.Config, server: Server, done: Callable[[], bool]) -> list[HookState]:
    async def work() -> list[HookState]:
        client = server.make_async()
        dispatcher = wiring.build_dispatcher(loaded, client)
        assert dispatcher is not None
        running = asyncio.create_task(dispatcher.run())
        async with asyncio.timeout(20):
            while not done():  # noqa: ASYNC110 (sockets in threads have no event of this loop)
                await asyncio.sleep(0.01)
        dispatcher.stop()
        assert await running
        states, _ = await wiring.hook_states(loaded, client)
        await dispatcher.aclose()
        await client.aclose()
        return list(states)

    return asyncio.run(work())


def got(gateway: RawGateway) -> list[Got]:
    requests = []
    for request in gateway.requests:
        head, _, body = request.partition(b"\r\n\r\n")
        pairs = [line.split(": ", 1) for line in head.decode().split("\r\n")[1:]]
        requests.append(Got(body, {name.lower(): value for name, value in pairs}))
    return requests


def test_an_event_reaches_a_receiver_that_checks_it_with_the_reference_library(server: Server) -> None:
    with RawGateway(says(http_answer(204))) as gateway:
        world = HookWorld(server)
        world.keyring = wiring.build_keyring(configured(gateway))
        id = world.happen("verification.approved")
        [state] = run(configured(gateway), server, lambda: bool(gateway.requests))
        [request] = got(gateway)
    assert gateway.targets() == ["POST /events?token=s3cret"]
    assert request.headers["content-type"] == "application/json"
    data = request.verified(SECRET)["data"]
    assert (data["verification_id"], data["to"]) == (id, MASK)
    assert state == HookState("receiver-0", 0, 0, None)


def test_a_redirect_is_not_followed(server: Server) -> None:
    """T63."""
    with RawGateway(says(http_answer(200))) as inner:
        for status in (301, 302, 303, 307, 308):
            moved = http_answer(status, headers={"Location": f"http://{inner.host}/latest/meta-data/"})
            with RawGateway(says(moved)) as outer:
                HookWorld(server).happen(n=status)
                run(configured(outer), server, outer.asked.is_set)
            server.client.flushall()
        assert inner.connections == 0


def test_a_receiver_that_resets_or_floods_delays_no_other_and_its_event_stays(server: Server) -> None:
    def floods(line: Any) -> None:
        line.sendall(b"HTTP/1.1 500 Said\r\nConnection: close\r\n\r\n" + b"x" * 1_000_000)
        line.close()

    with RawGateway(resets) as first, RawGateway(floods) as second, RawGateway(says(http_answer())) as third:
        HookWorld(server).happen()
        states = run(
            configured(first, second, third), server, lambda: all(len(each.requests) for each in (first, second, third))
        )
    assert [state.queued for state in states] == [1, 1, 0]


def test_410_is_remembered_by_whoever_looks(server: Server) -> None:
    with RawGateway(says(http_answer(410))) as gateway:
        HookWorld(server).happen()
        [state] = run(configured(gateway), server, gateway.asked.is_set)
    assert state.gone_since is not None


def test_no_log_line_shows_the_address_or_the_number(server: Server) -> None:
    """T39."""
    with structlog.testing.capture_logs() as lines, RawGateway(says(http_answer(500, b"+8613800138000"))) as gateway:
        HookWorld(server).happen()
        run(configured(gateway), server, gateway.asked.is_set)
    assert [line["event"] for line in lines] == ["a webhook fails; events are sent again later"]
    for word in ("s3cret", gateway.host, MASK, "13800138000"):
        assert word not in repr(lines)


def test_without_webhooks_nothing_runs(server: Server) -> None:
    assert wiring.build_dispatcher(config.parse(tables(), {}, Path()), server.make_async()) is None
