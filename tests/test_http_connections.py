"""Connections: which may carry another request, and that none is left behind."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from cryptography import x509

from otp_service.channels.http import GatewayClient, HttpAnswer, MaybeSent, NotSent
from otp_service.channels.http.dialing import dial
from otp_service.channels.http.exchange import exchange
from otp_service.channels.http.line import Line, open_line
from otp_service.channels.http.names import Endpoint, Names
from otp_service.channels.http.pool import Pool
from otp_service.channels.http.request import Place, build_request
from otp_service.channels.http.sending import Sending
from tests.certificate import Certificate
from tests.raw_gateway import Play, RawGateway, http_answer, resets, says

LONG = 30.0
"""Seconds: a deadline that no test reaches."""


def sockets() -> int:
    """How many this process has open."""
    found = 0
    for number in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{number}").startswith("socket:")
        except FileNotFoundError:
            continue  # the folder's own
    return found


async def comes_true(condition: Callable[[], bool]) -> bool:
    """Within a few seconds; what is closed takes the event loop a turn or two, or another thread."""
    for _ in range(2000):
        if condition():
            return True
        await asyncio.sleep(0.002)
    return False


async def twice(client: GatewayClient, url: str, between: Callable[[], Awaitable[None]]) -> list[HttpAnswer]:
    first = await client.request("GET", url, deadline=LONG)
    await between()
    second = await client.request("GET", url, deadline=LONG)
    await client.aclose()
    return [first, second]


async def nothing() -> None:
    pass


# What carries another request


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(http_answer(body=b"yes") + http_answer(body=b"not yours"), id="another answer behind it"),
        pytest.param(http_answer(body=b"yes") + b"x", id="a byte behind it"),
        pytest.param(http_answer(body=b"yes") + b"\r\n", id="an empty line behind it"),
        pytest.param(http_answer(body=b"yesnot yours", headers={"Content-Length": "3"}), id="a body past its length"),
        pytest.param(http_answer(body=b"yes", headers={"Connection": "close"}), id="Connection: close"),
        pytest.param(http_answer(body=b"yes", headers={"Connection": "x, CLOSE"}), id="close among others"),
        pytest.param(http_answer(body=b"yes").replace(b"HTTP/1.1", b"HTTP/1.0"), id="HTTP/1.0"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n0\r\n\r\n",
            id="a length and chunks",
        ),
    ],
)
def test_a_connection_whose_answer_does_not_end_cleanly_carries_no_other(answer: bytes) -> None:
    with RawGateway(says(answer)) as gateway:
        answers = asyncio.run(twice(GatewayClient(), f"http://{gateway.host}/", nothing))
    assert [answer.body for answer in answers] == [b"yes", b"yes"]
    assert gateway.connections == 2


def test_a_body_over_the_cap_takes_its_connection_with_it() -> None:
    with RawGateway(says(http_answer(body=b"x" * 200_000))) as gateway:
        asyncio.run(twice(GatewayClient(), f"http://{gateway.host}/", nothing))
    assert gateway.connections == 2


class Meddler:
    """Answers, and does something else to the connection when it is told to."""

    def __init__(self, meddle: Play) -> None:
        self.go = threading.Event()
        self.done = threading.Event()
        self._meddle = meddle

    def play(self, line: socket.socket) -> None:
        line.sendall(http_answer(body=b"yes"))
        if not self.done.is_set():
            self.go.wait(LONG)
            self._meddle(line)
            self.done.set()


@pytest.mark.parametrize("awake", [True, False], ids=["the loop hears it", "the loop is busy meanwhile"])
@pytest.mark.parametrize(
    "meddle",
    [
        pytest.param(lambda line: line.sendall(http_answer(body=b"not yours")), id="answers to nothing"),
        pytest.param(lambda line: line.sendall(http_answer(408)), id="says that it was idle too long"),
        pytest.param(lambda line: line.shutdown(socket.SHUT_WR), id="half closes"),
        pytest.param(lambda line: line.shutdown(socket.SHUT_RDWR), id="closes"),
        pytest.param(resets, id="resets"),
    ],
)
def test_a_kept_connection_that_stirred_meanwhile_is_not_used(meddle: Play, awake: bool) -> None:
    meddler = Meddler(meddle)

    async def between() -> None:
        meddler.go.set()
        if awake:
            assert await asyncio.to_thread(meddler.done.wait, LONG)
        else:
            assert meddler.done.wait(LONG)

    with RawGateway(meddler.play) as gateway:
        answers = asyncio.run(twice(GatewayClient(), f"http://{gateway.host}/", between))
    assert [answer.body for answer in answers] == [b"yes", b"yes"]
    assert gateway.connections == 2


def test_a_peer_that_chatters_on_a_kept_connection_is_closed_at_once() -> None:
    """Not when somebody needs it: its words would pile up."""
    meddler = Meddler(lambda line: line.sendall(b"x" * 100_000))

    async def run(url: str) -> bool:
        client = GatewayClient(keep_idle=LONG)
        await client.request("GET", url, deadline=LONG)
        before = sockets()
        meddler.go.set()
        closed = await comes_true(lambda: sockets() < before)
        await client.aclose()
        return closed

    with RawGateway(meddler.play) as gateway:
        assert asyncio.run(run(f"http://{gateway.host}/"))


def test_a_gateway_that_speaks_before_it_is_asked_has_answered_nothing() -> None:
    """Its words would pass for the answer to whatever is sent first."""

    async def run(listener: socket.socket) -> bool:
        host, port = listener.getsockname()
        line = await open_line(await dial(await Names().endpoints(host, port)), None, host)
        peer, _ = listener.accept()
        with peer:
            peer.sendall(http_answer())
            assert await comes_true(lambda: not line.clean)
            sending = Sending(LONG)
            with pytest.raises(ConnectionResetError):
                await exchange(line, build_request("GET", f"http://{host}:{port}/", b"", {}, ""), sending, 0.0)
            await line.aclose()
        return sending.begun

    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert not asyncio.run(run(listener))


def test_a_connection_carries_requests_to_one_place_only(tmp_path: Path) -> None:
    """The same address and port, but neither the scheme nor the name of the kept connection."""
    certificate = Certificate(tmp_path, x509.DNSName("one.example"))

    async def run(port: str) -> None:
        client = GatewayClient(tls=certificate.trusting_client)
        address = {"deadline": LONG, "address": "127.0.0.1"}
        await client.request("GET", f"https://one.example:{port}/", **address)  # type: ignore[arg-type]
        with pytest.raises(NotSent):
            await client.request("GET", f"https://other.example:{port}/", **address)  # type: ignore[arg-type]
        with pytest.raises(MaybeSent):
            await client.request("GET", f"http://one.example:{port}/", **address)  # type: ignore[arg-type]
        await client.aclose()

    with RawGateway(says(http_answer()), tls=certificate.server) as gateway:
        asyncio.run(run(gateway.host.rpartition(":")[2]))
    assert (gateway.connections, len(gateway.requests)) == (3, 1)


# What is left behind


@pytest.mark.parametrize("addresses", [1, 2, 5])
def test_of_connections_that_stand_at_the_same_moment_one_is_kept(addresses: int) -> None:
    async def run(listener: socket.socket) -> None:
        endpoint: Endpoint = (socket.AF_INET, socket.SOCK_STREAM, 0, listener.getsockname())
        before = sockets()
        with await dial([endpoint] * addresses, head_start=0):
            assert await comes_true(lambda: sockets() == before + 1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        asyncio.run(run(listener))


def test_a_connection_that_nobody_uses_is_closed_after_a_while() -> None:
    async def run(listener: socket.socket) -> int:
        host, port = listener.getsockname()
        pool, place = Pool(keep_idle=0.01), Place(host, port, False)
        before = sockets()
        pool.keep(place, await open_line(await dial(await Names().endpoints(host, port)), None, host))
        assert await comes_true(lambda: sockets() == before)
        return len(pool)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert asyncio.run(run(listener)) == 0


def test_a_connection_to_elsewhere_is_closed_to_make_room() -> None:
    async def run(hosts: list[str]) -> None:
        client = GatewayClient(max_connections=1, keep_idle=LONG)
        before = sockets()
        for host in hosts:
            await client.request("GET", f"http://{host}/", deadline=LONG)
        # One of the client's own, and one at each gateway.
        assert await comes_true(lambda: sockets() == before + 1 + len(hosts))
        await client.aclose()

    with RawGateway(says(http_answer())) as one, RawGateway(says(http_answer())) as other:
        asyncio.run(run([one.host, other.host]))
    assert (one.connections, other.connections) == (1, 1)


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_closing_the_client_closes_what_is_kept_and_what_comes_back_later(tls: bool, tmp_path: Path) -> None:
    certificate = Certificate(tmp_path, x509.DNSName("gateway.example"))
    go = threading.Event()

    def play(line: socket.socket) -> None:
        if len(gateway.requests) > 1:
            go.wait(LONG)
        line.sendall(http_answer())

    async def run(url: str) -> None:
        client = GatewayClient(tls=certificate.trusting_client)
        before = sockets()
        calls = [client.request("GET", url, deadline=LONG, address="127.0.0.1") for _ in range(3)]
        tasks = [asyncio.create_task(call) for call in calls]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        await client.aclose()
        go.set()
        assert [answer.status for answer in await asyncio.gather(*tasks)] == [200] * 3
        assert await comes_true(lambda: sockets() == before + gateway.connections)

    with RawGateway(play, tls=certificate.server if tls else None) as gateway:
        scheme, port = "https" if tls else "http", gateway.host.rpartition(":")[2]
        asyncio.run(run(f"{scheme}://gateway.example:{port}/"))


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("turns", range(12))
def test_a_call_cancelled_after_any_turn_of_the_loop_leaves_no_socket(scheme: str, turns: int) -> None:
    """The kernel takes the connection and nobody answers: each turn is one step further in connecting and asking."""

    async def run(url: str) -> None:
        client, before = GatewayClient(), sockets()
        call = asyncio.create_task(client.request("GET", url, deadline=LONG))
        for _ in range(turns):
            await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await comes_true(lambda: sockets() == before)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        asyncio.run(run(f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/"))


@pytest.mark.parametrize("so_far", [b"", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbo"])
def test_a_call_cancelled_within_an_answer_leaves_no_socket(so_far: bytes) -> None:
    def play(line: socket.socket) -> None:
        line.sendall(so_far)
        gateway.wait_for_end(line)

    async def run(url: str) -> None:
        client, before = GatewayClient(), sockets()
        call = asyncio.create_task(client.request("GET", url, deadline=LONG))
        assert await asyncio.to_thread(gateway.asked.wait, LONG)
        await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await comes_true(lambda: sockets() == before + gateway.connections)

    with RawGateway(play) as gateway:
        asyncio.run(run(f"http://{gateway.host}/"))


@pytest.mark.parametrize("endpoints", [1, 2])
def test_a_call_cancelled_while_it_connects_leaves_no_socket(endpoints: int) -> None:
    """The listener's queue is full: the connection never stands."""

    async def run(port: int) -> None:
        endpoint: Endpoint = (socket.AF_INET, socket.SOCK_STREAM, 0, ("127.0.0.1", port))
        client, before = GatewayClient(look_up=lambda host, port: [endpoint] * endpoints), sockets()
        call = asyncio.create_task(client.request("GET", "http://gateway.example/", deadline=LONG))
        assert await comes_true(lambda: sockets() > before)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await comes_true(lambda: sockets() == before)

    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.socket() as first:
        first.connect(full.getsockname())
        asyncio.run(run(full.getsockname()[1]))


def test_a_call_cancelled_while_it_waits_for_its_turn_gives_the_turn_on() -> None:
    async def run(url: str) -> list[int]:
        client = GatewayClient(max_connections=1)
        first, second, third = (asyncio.create_task(client.request("GET", url, deadline=LONG)) for _ in range(3))
        assert await asyncio.to_thread(gateway.asked.wait, LONG)
        second.cancel()
        go.set()
        answers = [(await task).status for task in (first, third)]
        await client.aclose()
        return answers

    def play(line: socket.socket) -> None:
        go.wait(LONG)
        line.sendall(http_answer())

    go = threading.Event()
    with RawGateway(play) as gateway:
        assert asyncio.run(run(f"http://{gateway.host}/")) == [200, 200]
    assert len(gateway.requests) == 2


@pytest.mark.parametrize("moment", ["in the handshake", "after the request"])
def test_a_reset_says_whether_the_request_had_begun(moment: str, tmp_path: Path) -> None:
    certificate = Certificate(tmp_path, x509.DNSName("gateway.example"))

    def answer(listener: socket.socket) -> None:
        line, _ = listener.accept()
        if moment == "in the handshake":
            line.recv(100)
            resets(line)
        else:
            line = certificate.server.wrap_socket(line, server_side=True)
            line.recv(1000)
            resets(line)

    async def run(port: int) -> None:
        client, before = GatewayClient(tls=certificate.trusting_client), sockets()
        with pytest.raises(NotSent if moment == "in the handshake" else MaybeSent) as caught:
            await client.request("GET", f"https://gateway.example:{port}/", deadline=LONG, address="127.0.0.1")
        assert not caught.value.timed_out
        assert await comes_true(lambda: sockets() == before)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = threading.Thread(target=answer, args=(listener,))
        peer.start()
        asyncio.run(run(listener.getsockname()[1]))
        peer.join()


def test_a_peer_that_is_not_read_is_made_to_wait() -> None:
    """Bytes pile up in the peer's kernel, not in our memory."""

    async def run(listener: socket.socket) -> int:
        host, port = listener.getsockname()
        line: Line = await open_line(await dial(await Names().endpoints(host, port)), None, host)
        peer, _ = listener.accept()
        with peer:
            peer.setblocking(False)
            sent = 0
            for _ in range(200):
                try:
                    sent += peer.send(b"x" * 65536)
                except BlockingIOError:
                    await asyncio.sleep(0.001)
            held = len(await line.read())
            assert sent > held
            got = held
            while got < sent:
                got += len(await line.read())
            await line.aclose()
        return held

    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert asyncio.run(run(listener)) < 1_000_000
