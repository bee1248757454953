"""Two versions at work on one Redis, as while a fleet is rolled: their scripts differ, their records don't."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from contextlib import suppress

import pytest

from otp_service.errors import AlreadyApproved, CodeMismatch, TokenUsed
from otp_service.store.scripts import Script
from otp_service.verification import Delivery
from otp_service.verifier import Idempotency, ResendRequest, TokenRequest
from tests.world import MOVABLE, NUMBER, SHOP, UNLIMITED, Server, World, until

LIVES = 24


def of_another_version(script: Script) -> Script:
    text = f"-- of another version\n{script.text}"
    return Script(text, Script.sha_of(text))


OTHER: Mapping[str, Script] = {name: of_another_version(script) for name, script in MOVABLE.items()}


@pytest.fixture
def both(real_server: Server) -> tuple[World, World]:
    """The old one and the new one; they have one gateway."""
    old, new = (World(real_server, UNLIMITED, cooldown=(60,)) for _ in range(2))
    new.with_scripts(OTHER)
    new.gateways = old.gateways
    return old, new


def test_they_are_two_to_redis() -> None:
    assert not {script.sha for script in MOVABLE.values()} & {script.sha for script in OTHER.values()}


@pytest.mark.parametrize("turn", [0, 1])
def test_one_life_passes_from_one_to_the_other_at_every_step(both: tuple[World, World], turn: int) -> None:
    """Restarted in between, Redis knows neither's scripts any more."""
    here, there = both if turn else both[::-1]
    here.freeze_clock()
    once, checked = Idempotency("k", "/", b""), Idempotency("c", "/check", b"")
    id = here.start(idempotency=once, metadata={"order": "7"}).verification.id
    assert there.start(idempotency=once, metadata={"order": "7"}).verification.id == id
    there.deliver()
    here.move_clock(61)
    there.server.client.script_flush()
    assert there.verifier.resend(SHOP, id, ResendRequest()).verification.sends == 2
    here.deliver()
    assert set(here.gateways[0].codes) == {here.code_of(id)}
    assert here.get(id) == there.get(id)
    for world, left in ((here, 4), (there, 3)):
        with pytest.raises(CodeMismatch) as wrong:
            world.check(id, world.wrong_code(id))
        assert wrong.value.verification.attempts_left == left
    code = here.code_of(id)
    token = there.check(id, code, idempotency=checked).token
    assert here.check(id, code, idempotency=checked).token == token
    with pytest.raises(AlreadyApproved):
        here.check(id, code)
    proof = TokenRequest(token, "login", NUMBER, consume=True)
    assert here.verifier.verify_token(SHOP, proof).metadata == {"order": "7"}
    with pytest.raises(TokenUsed):
        there.verifier.verify_token(SHOP, proof)


def test_both_at_once_count_and_send_as_one(both: tuple[World, World]) -> None:
    """Workers and callers of either version: every send once, every code approved once."""
    old, new = both
    ids = [both[n % 2].start(f"+86138{n:08d}").verification.id for n in range(LIVES)]
    codes = [old.code_of(id) for id in ids]

    async def deliver() -> None:
        crew = [world.worker(name) for name, world in (("old", old), ("new", new))]
        running = [asyncio.create_task(worker.run()) for worker, _ in crew]
        await until(lambda: len(old.gateways[0].inbox) >= LIVES)
        await old.is_idle()
        for worker, _ in crew:
            worker.stop()
        await asyncio.gather(*running)
        for _, outbox in crew:
            await outbox.aclose()

    tokens: list[str] = []

    def approve(world: World) -> None:
        for id, code in zip(ids, codes, strict=True):
            with suppress(AlreadyApproved):
                tokens.append(world.check(id, code).token)

    asyncio.run(deliver())
    callers = [threading.Thread(target=approve, args=(world,)) for world in both]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert sorted(old.gateways[0].codes) == sorted(codes)
    assert len(tokens) == len(set(tokens)) == LIVES
    assert {new.get(id).delivery for id in ids} == {Delivery.UNCONFIRMED}, "approved, and never reported"
