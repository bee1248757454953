"""Somebody has codes sent to people who asked for none: what one handset may get, and what one address may ask for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from otp_service.errors import RateLimited
from otp_service.policy import Limits, Window
from tests.world import NUMBER, SHOP, UNLIMITED, Server, World

HOUR, DAY = 3600, 86400
CLIENTS = [replace(SHOP, name=f"client-{n}") for n in range(4)]


def test_a_handset_gets_ten_messages_in_any_day_however_many_clients_ask(server: Server) -> None:
    """T67: many clients, one victim; for more than a day, each asks every three hours, from addresses of its own."""
    world = World(server, Limits())
    world.freeze_clock()
    sent: list[int] = []
    for hour in range(0, 33, 3):
        for n, client in enumerate(CLIENTS):
            if starts(world, NUMBER, client=client, client_ip=f"198.51.{hour}.{n}", session=f"{hour} {n}"):
                sent.append(hour)
        world.move_clock(3 * HOUR)
    assert len([hour for hour in sent if hour < 24]) == 10
    assert max(len([hour for hour in sent if first <= hour < first + 24]) for first in sent) == 10


@pytest.mark.parametrize(
    ("limit", "same"), [("client_ip", {"client_ip": "2001:db8:1:2::7"}), ("device", {"device": "one handset of his"})]
)
def test_one_address_or_device_reaches_no_more_victims_than_its_limit(
    server: Server, limit: str, same: dict[str, Any]
) -> None:
    """T67: one address, or one device, many victims, a number after another and none of them twice."""
    limits: dict[str, Any] = {limit: (Window(7, HOUR),)}
    world = World(server, replace(UNLIMITED, **limits))
    world.freeze_clock()
    assert sum(starts(world, f"+86139{n:04d}0000", **same) for n in range(20)) == 7
    assert starts(world, "+8613711110000", **{limit: "198.51.100.9"})


def starts(world: World, to: str, **more: Any) -> bool:
    """Whether a message is on its way."""
    try:
        world.start(to, **more)
    except RateLimited:
        return False
    return True
