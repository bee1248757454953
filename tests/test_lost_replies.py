"""Replies that get lost, servers that fall silent: nothing is counted twice, and nothing is guessed at."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from otp_service.errors import AlreadyApproved, CodeMismatch, RateLimited, TokenUsed, Unavailable
from otp_service.policy import Limits, Window
from otp_service.ports import Verdict
from otp_service.store import connect, connect_async
from otp_service.store.connection import ANSWER_WITHIN
from otp_service.verification import Delivery, Status
from otp_service.verifier import CheckRequest, Idempotency, ResendRequest, TokenRequest
from tests.cli.processes import until, valkey
from tests.cutting_proxy import CuttingProxy
from tests.faults.hands import Hands, by_hand
from tests.world import MOVABLE, NUMBER, SHOP, Server, World

KEY = Idempotency("k", "/v1/verifications", b"{}")
OTHER = "+8613800138001"
ADDRESS = "192.0.2.1"
ONCE = Limits(recipient=(Window(2, 3600),), failures=(Window(5, 3600),), client_ip=(Window(2, 3600),))


@pytest.fixture
def proxy(real_server: Server) -> Iterator[CuttingProxy]:
    for script in MOVABLE.values():
        real_server.client.script_load(script.text)
    with CuttingProxy(real_server.url) as proxy:
        yield proxy


@pytest.fixture
def cut_world(proxy: CuttingProxy) -> Iterator[World]:
    """A world that talks to its server through the proxy, with room for each send once."""
    client = connect(proxy.url)
    yield World(Server(client, lambda: connect_async(proxy.url, 1.0), proxy.url), ONCE)
    client.close()


def lose(proxy: CuttingProxy, script: str, times: int = 1) -> None:
    proxy.lose(MOVABLE[script].sha, times)


def queued(world: World) -> int:
    client = world.server.client
    return sum(int(client.xlen(name)) for name in client.keys("*:outbox"))


def sends_counted(world: World) -> tuple[int, int]:
    """In the recipient's window, and in the address's."""
    client = world.server.client
    return tuple(sum(int(client.zcard(name)) for name in client.keys(p)) for p in ("*:r:*", "*:b:*"))  # type: ignore[return-value]


# --- one reply lost: asked again with the same nonce ------------------------------------------------------------------


@pytest.mark.parametrize("script", ["charge", "start"])
def test_a_start_whose_reply_is_lost_is_sent_and_counted_once(
    cut_world: World, proxy: CuttingProxy, script: str
) -> None:
    lose(proxy, script)
    started = cut_world.start(client_ip=ADDRESS)
    assert proxy.cut == 1
    assert started.created
    assert not started.replayed
    assert started.verification.sends == 1
    assert queued(cut_world) == 1
    assert sends_counted(cut_world) == (1, 1)


@pytest.mark.parametrize("resend", ["reuse", "rotate"])
def test_a_resend_whose_reply_is_lost_is_sent_and_counted_once(
    real_server: Server, proxy: CuttingProxy, resend: str
) -> None:
    client = connect(proxy.url)
    world = World(Server(client, lambda: connect_async(proxy.url, 1.0), proxy.url), ONCE, resend=resend)
    id = world.start(client_ip=ADDRESS).verification.id
    world.move_clock(60)
    lose(proxy, "resend")
    assert world.verifier.resend(SHOP, id, ResendRequest()).verification.sends == 2
    assert proxy.cut == 1
    assert (world.get(id).sends, queued(world), sends_counted(world)) == (2, 2, (2, 2))
    client.close()


def test_a_start_that_sends_the_pending_one_again_is_counted_once_too(cut_world: World, proxy: CuttingProxy) -> None:
    cut_world.start(client_ip=ADDRESS)
    cut_world.move_clock(60)
    # The first of its two calls only learns who is pending.
    lose(proxy, "start", times=1)
    assert cut_world.start(client_ip=ADDRESS).verification.sends == 2
    assert sends_counted(cut_world) == (2, 2)


def test_a_wrong_code_whose_reply_is_lost_is_counted_once(cut_world: World, proxy: CuttingProxy) -> None:
    id = cut_world.start().verification.id
    wrong = cut_world.wrong_code(id)
    lose(proxy, "check")
    with pytest.raises(CodeMismatch) as refused:
        cut_world.check(id, wrong)
    assert proxy.cut == 1
    assert refused.value.verification is not None
    assert refused.value.verification.attempts_left == 4
    assert cut_world.get(id).attempts_left == 4


def test_the_last_wrong_code_whose_reply_is_lost_is_still_a_wrong_code(cut_world: World, proxy: CuttingProxy) -> None:
    id = cut_world.start().verification.id
    wrong = cut_world.wrong_code(id)
    for n in range(5):
        if n == 4:
            lose(proxy, "check")
        with pytest.raises(CodeMismatch):
            cut_world.check(id, wrong)
    assert proxy.cut == 1


def test_an_approval_whose_reply_is_lost_is_an_approval(cut_world: World, proxy: CuttingProxy) -> None:
    """I7, and invariant 7: redis-py itself would have run the script again as another request."""
    id = cut_world.start().verification.id
    code = cut_world.code_of(id)
    lose(proxy, "check")
    token = cut_world.check(id, code).token
    assert proxy.cut == 1
    assert cut_world.verifier.verify_token(SHOP, TokenRequest(token, "login", NUMBER)).verification_id == id
    with pytest.raises(AlreadyApproved):
        cut_world.check(id, code)


def test_a_token_whose_use_lost_its_reply_is_used_up_by_its_asker(cut_world: World, proxy: CuttingProxy) -> None:
    id = cut_world.start().verification.id
    use = TokenRequest(cut_world.check(id, cut_world.code_of(id)).token, "login", NUMBER, consume=True)
    lose(proxy, "token")
    assert cut_world.verifier.verify_token(SHOP, use).verification_id == id
    assert proxy.cut == 1
    with pytest.raises(TokenUsed):
        cut_world.verifier.verify_token(SHOP, use)


@pytest.mark.parametrize("script", ["claim", "start", "keep"])
def test_with_an_idempotency_key_each_lost_reply_is_asked_again(
    cut_world: World, proxy: CuttingProxy, script: str
) -> None:
    lose(proxy, script)
    first = cut_world.start(client_ip=ADDRESS, idempotency=KEY)
    assert proxy.cut == 1
    assert not first.replayed
    again = cut_world.start(client_ip=ADDRESS, idempotency=KEY)
    assert (again.verification, again.replayed) == (first.verification, True)
    assert (queued(cut_world), sends_counted(cut_world)) == (1, (1, 1))


def test_a_cancel_and_a_look_are_asked_again(cut_world: World, proxy: CuttingProxy) -> None:
    id = cut_world.start().verification.id
    lose(proxy, "view")
    assert cut_world.get(id).status is Status.PENDING
    lose(proxy, "cancel")
    assert cut_world.verifier.cancel(SHOP, id).status is Status.CANCELED
    assert proxy.cut == 2


def test_a_check_by_recipient_is_asked_again_at_both_of_its_steps(cut_world: World, proxy: CuttingProxy) -> None:
    id = cut_world.start().verification.id
    asked = CheckRequest(code=cut_world.code_of(id), to=NUMBER, purpose="login")
    proxy.lose("GET")
    assert cut_world.verifier.check_by_recipient(SHOP, asked).token
    assert proxy.cut == 1


def test_a_refund_whose_reply_is_lost_is_asked_again(cut_world: World, proxy: CuttingProxy) -> None:
    cut_world.start(client_ip=ADDRESS)
    proxy.lose("ZREM")
    with pytest.raises(RateLimited, match="cooldown"):
        cut_world.start(client_ip=ADDRESS)
    assert proxy.cut == 1
    assert sends_counted(cut_world) == (1, 1)


def test_a_server_that_forgot_its_scripts_is_told_them_again(cut_world: World, proxy: CuttingProxy) -> None:
    """After a restart or a failover, and when the reply to the full text is lost as well."""
    cut_world.server.client.script_flush()
    proxy.lose("local CHANGING")
    assert cut_world.start().verification.sends == 1
    assert proxy.cut == 1
    assert queued(cut_world) == 1


# --- the connection dies twice: nobody knows, so we say so ------------------------------------------------------------


def twice(proxy: CuttingProxy, script: str, call: Callable[[], Any]) -> None:
    lose(proxy, script, times=2)
    with pytest.raises(Unavailable) as refused:
        call()
    assert refused.value.retry_after
    assert proxy.cut == 2


def test_a_start_that_is_lost_twice_is_unavailable_and_its_key_fetches_the_result(
    cut_world: World, proxy: CuttingProxy
) -> None:
    twice(proxy, "start", lambda: cut_world.start(client_ip=ADDRESS, idempotency=KEY))
    started = cut_world.start(client_ip=ADDRESS, idempotency=KEY)
    assert started.created
    assert started.replayed
    assert (queued(cut_world), sends_counted(cut_world)) == (1, (1, 1))


def test_a_resend_that_is_lost_twice_is_fetched_by_its_key(cut_world: World, proxy: CuttingProxy) -> None:
    id = cut_world.start(client_ip=ADDRESS).verification.id
    cut_world.move_clock(60)
    resend = lambda: cut_world.verifier.resend(SHOP, id, ResendRequest(), KEY)  # noqa: E731
    twice(proxy, "resend", resend)
    assert resend().verification.sends == 2
    assert (queued(cut_world), sends_counted(cut_world)) == (2, (2, 2))


def test_an_approval_that_is_lost_twice_is_fetched_by_its_key(cut_world: World, proxy: CuttingProxy) -> None:
    """I7."""
    id = cut_world.start().verification.id
    code = cut_world.code_of(id)
    twice(proxy, "check", lambda: cut_world.check(id, code, idempotency=KEY))
    answer = cut_world.check(id, code, idempotency=KEY)
    assert answer.token
    assert answer.token == cut_world.check(id, code, idempotency=KEY).token


def test_a_wrong_code_that_is_lost_twice_counts_once(cut_world: World, proxy: CuttingProxy) -> None:
    id = cut_world.start().verification.id
    wrong = cut_world.wrong_code(id)
    twice(proxy, "check", lambda: cut_world.check(id, wrong, idempotency=KEY))
    with pytest.raises(CodeMismatch):
        cut_world.check(id, wrong, idempotency=KEY)
    assert cut_world.get(id).attempts_left == 4


def test_no_server_at_all_is_unavailable_for_every_call() -> None:
    """Invariant 6: fails closed."""
    client = connect("redis://127.0.0.1:1/0")
    world = World(Server(client, lambda: connect_async("redis://127.0.0.1:1/0", 1.0)))
    id = world.keyring.new_id(NUMBER, NUMBER[:-4], bytes(12)).text
    for call in (
        world.start,
        lambda: world.check(id, "123456"),
        lambda: world.check(id, "123456", idempotency=KEY),
        lambda: world.verifier.check_by_recipient(SHOP, CheckRequest("123456", to=NUMBER, purpose="login")),
        lambda: world.verifier.resend(SHOP, id, ResendRequest()),
        lambda: world.verifier.cancel(SHOP, id),
        lambda: world.get(id),
    ):
        with pytest.raises(Unavailable) as refused:
            call()
        assert refused.value.retry_after
    assert not world.verifier.store_is_up()
    client.close()


@contextmanager
def without_memory(world: World) -> Iterator[None]:
    client = world.server.client
    client.config_set("maxmemory", 1)
    try:
        yield
    finally:
        client.config_set("maxmemory", 0)


def test_a_server_without_memory_refuses_starts_and_serves_who_has_a_code(real_world: World) -> None:
    """F13: 503 for starts, and nothing of them is left behind; codes and tokens are checked, also by a key."""
    client = real_world.server.client
    wrong, right, gone = (
        real_world.start(purpose=one).verification.id for one in ("login", "signup", "password_reset")
    )
    code = real_world.code_of(right)
    with without_memory(real_world):
        before = client.dbsize()
        for key in (None, KEY):
            with pytest.raises(Unavailable) as refused:
                real_world.start(to=OTHER, idempotency=key, client_ip=ADDRESS)
            assert refused.value.retry_after
        assert client.dbsize() == before
        with pytest.raises(CodeMismatch):
            real_world.check(wrong, real_world.wrong_code(wrong))
        token = real_world.check(right, code, idempotency=Idempotency("c", "/", b"")).token
        use = TokenRequest(token, "signup", NUMBER, consume=True)
        assert real_world.verifier.verify_token(SHOP, use).verification_id == right
        assert real_world.verifier.cancel(SHOP, gone).status is Status.CANCELED
        assert real_world.get(wrong).attempts_left == 4
    assert real_world.start(to=OTHER, idempotency=KEY).created


def test_a_worker_sends_what_waits_although_no_memory_is_left(real_world: World) -> None:
    id = real_world.start().verification.id

    @by_hand(real_world, "w1")
    async def _(worker: Hands) -> None:
        with without_memory(real_world):
            [entry] = await worker.read()
            await worker.take(entry)
            assert await worker.record(entry)
            await worker.settle(entry, Verdict.ACCEPTED)
            assert real_world.get(id).delivery is Delivery.ACCEPTED
            assert queued(real_world) == 0


def test_a_server_that_can_not_save_is_unavailable_until_it_can(tmp_path: Path) -> None:
    """F14: a full disk, and MISCONF for every write."""
    in_the_way = tmp_path / "dump.rdb"
    with valkey(tmp_path) as url:
        client = connect(url)
        world = World(Server(client, lambda: connect_async(url, 1.0), url))
        id = world.start().verification.id
        in_the_way.mkdir()
        client.config_set("save", "3600 1")
        saves(client, well=False)
        for call in (lambda: world.start(purpose="signup"), lambda: world.check(id, world.code_of(id))):
            with pytest.raises(Unavailable) as refused:
                call()
            assert refused.value.retry_after
        in_the_way.rmdir()
        saves(client, well=True)
        assert world.start(purpose="signup").created
        assert world.check(id, world.code_of(id)).token
        client.close()


def saves(client: Any, well: bool) -> None:
    client.bgsave()
    status = "ok" if well else "err"
    until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == status, f"the save ends with {status}")


# --- the server falls silent ------------------------------------------------------------------------------------------


def stopped(world: World) -> tuple[Callable[[], None], Callable[[], None]]:
    pid = int(world.server.client.info("server")["process_id"])
    return lambda: os.kill(pid, signal.SIGSTOP), lambda: os.kill(pid, signal.SIGCONT)


def paused(world: World) -> tuple[Callable[[], None], Callable[[], None]]:
    client = world.server.client
    pause = round(ANSWER_WITHIN * 1000) + 500
    return lambda: client.client_pause(pause, all=True), lambda: None


@pytest.mark.parametrize("silence", [stopped, paused])
def test_a_silent_server_is_unavailable_for_everyone_and_works_again_afterwards(
    real_world: World, silence: Any
) -> None:
    """F11, F12: each caller waits for one answer, not for ten, and what they asked for is done at most once."""
    id = real_world.start().verification.id
    code = real_world.code_of(id)
    begin, end = silence(real_world)
    real_world.get(id)
    told: list[str] = []

    def ask(call: Callable[[], Any]) -> None:
        with pytest.raises(Unavailable) as refused:
            call()
        told.append(refused.value.name)

    calls = [
        lambda: real_world.start(purpose="signup", idempotency=KEY),
        lambda: real_world.check(id, code, idempotency=Idempotency("c", "/", b"")),
        lambda: real_world.get(id),
    ]
    begin()
    try:
        threads = [threading.Thread(target=ask, args=(call,)) for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=5 * ANSWER_WITHIN)
        assert not any(thread.is_alive() for thread in threads)
    finally:
        end()
    assert told == ["unavailable"] * 3
    assert real_world.start(purpose="signup", idempotency=KEY).verification.sends == 1
    assert real_world.check(id, code, idempotency=Idempotency("c", "/", b"")).token
    assert queued(real_world) == 2
