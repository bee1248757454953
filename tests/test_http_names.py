"""Where a request goes: names that resolve slowly, badly or in turns, and addresses that stand in for them."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from otp_service.channels.http import GatewayClient, HttpAnswer, NotSent
from otp_service.channels.http.names import MAX_LOOK_UPS, Endpoint, LookUp
from tests.certificate import Certificate
from tests.raw_gateway import RawGateway, http_answer, says

LONG = 30.0
"""Seconds: a deadline that no test reaches."""
SHORT = 0.2


def ask(*urls: str, deadline: float = LONG, address: str = "", **options: Any) -> list[HttpAnswer]:
    async def run() -> list[HttpAnswer]:
        client = GatewayClient(**options)
        try:
            return [await client.request("GET", url, deadline=deadline, address=address) for url in urls]
        finally:
            await client.aclose()

    return asyncio.run(run())


def endpoint(host: str) -> Endpoint:
    name, _, port = host.rpartition(":")
    return socket.AF_INET, socket.SOCK_STREAM, 0, (name, int(port))


def knows(*hosts: str) -> LookUp:
    """Every name resolves to these."""
    return lambda name, port: [endpoint(host) for host in hosts]


class SlowNames:
    """Answers nobody until it is told to."""

    def __init__(self, *hosts: str) -> None:
        self.asked: list[str] = []
        self.was_asked = threading.Event()
        self.go = threading.Event()
        self._answer = knows(*hosts)

    def __call__(self, host: str, port: int) -> list[Endpoint]:
        self.asked.append(host)
        self.was_asked.set()
        self.go.wait(LONG)
        return self._answer(host, port)


@pytest.fixture
def refusing() -> Iterator[str]:
    """A port that is taken but refuses: bound, not listening."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def unanswering() -> Iterator[str]:
    """A port whose queue of connections is full: whoever knocks now waits."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.socket() as first:
        first.connect(full.getsockname())
        yield f"127.0.0.1:{full.getsockname()[1]}"


# Slow and broken name servers


def test_a_slow_name_server_ends_at_the_deadline_while_the_loop_goes_on_and_nobody_waits_for_it() -> None:
    """F27. The look-up still hangs when the program has left its event loop."""
    names = SlowNames()
    turns = 0

    async def run() -> None:
        nonlocal turns
        client = GatewayClient(look_up=names)
        sending = asyncio.create_task(client.request("GET", "http://slow.example/", deadline=SHORT))
        while not sending.done():
            turns += 1
            await asyncio.sleep(0)
        await sending

    with pytest.raises(NotSent) as caught:
        asyncio.run(run())
    assert caught.value.timed_out
    assert turns > 50
    waiting = [thread for thread in threading.enumerate() if thread.name == "name look-up"]
    assert waiting
    assert all(thread.daemon for thread in waiting)
    names.go.set()


def test_a_slow_name_holds_up_no_other() -> None:
    """As many slow names as the event loop has threads of its own would hold up every look-up behind them."""
    slow = SlowNames()

    async def run(host: str) -> list[Any]:
        def look_up(name: str, port: int) -> list[Endpoint]:
            return [endpoint(host)] if name == "quick.example" else slow(name, port)

        client = GatewayClient(look_up=look_up)
        stuck = [
            asyncio.create_task(client.request("GET", f"http://slow{n}.example/", deadline=LONG))
            for n in range(MAX_LOOK_UPS - 1)
        ]
        await asyncio.sleep(0)
        answer = await client.request("GET", "http://quick.example/", deadline=LONG)
        for task in stuck:
            task.cancel()
        await client.aclose()
        return [answer.status, *await asyncio.gather(*stuck, return_exceptions=True)]

    with RawGateway(says(http_answer())) as gateway:
        status, *others = asyncio.run(run(gateway.host))
    slow.go.set()
    assert status == 200
    assert {type(other) for other in others} == {asyncio.CancelledError}


def test_threads_that_wait_for_name_servers_are_counted() -> None:
    slow = SlowNames()

    async def run() -> list[Any]:
        client = GatewayClient(look_up=slow)
        calls = [client.request("GET", f"http://n{n}.example/", deadline=SHORT) for n in range(MAX_LOOK_UPS + 5)]
        return await asyncio.gather(*calls, return_exceptions=True)

    failures = asyncio.run(run())
    slow.go.set()
    assert len(slow.asked) == MAX_LOOK_UPS
    assert [failure.timed_out for failure in failures].count(False) == 5
    assert {type(failure) for failure in failures} == {NotSent}


def test_many_requests_ask_once_for_one_name_and_one_that_gives_up_takes_nothing_from_the_others() -> None:
    async def run(url: str, names: SlowNames) -> list[Any]:
        client = GatewayClient(look_up=names)
        calls = [asyncio.create_task(client.request("GET", url, deadline=LONG)) for _ in range(20)]
        assert await asyncio.to_thread(names.was_asked.wait, LONG)
        calls[0].cancel()
        await asyncio.sleep(0)
        names.go.set()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        await client.aclose()
        return answers

    with RawGateway(says(http_answer())) as gateway:
        names = SlowNames(gateway.host)
        first, *others = asyncio.run(run("http://gateway.example/", names))
    assert isinstance(first, asyncio.CancelledError)
    assert [answer.status for answer in others] == [200] * 19
    assert names.asked == ["gateway.example"]


@pytest.mark.parametrize(
    "error",
    [socket.gaierror(socket.EAI_NONAME, "Name or service not known"), UnicodeError("label too long"), OSError("none")],
    ids=lambda error: type(error).__name__,
)
def test_a_name_that_fails_was_not_sent_and_is_asked_for_again(error: Exception) -> None:
    asked = []

    def look_up(name: str, port: int) -> list[Endpoint]:
        asked.append(name)
        raise error

    async def run() -> None:
        client = GatewayClient(look_up=look_up)
        for _ in range(2):
            with pytest.raises(NotSent) as caught:
                await client.request("GET", "http://gateway.example/", deadline=LONG)
            assert not caught.value.timed_out

    asyncio.run(run())
    assert len(asked) == 2


def test_a_name_without_addresses_was_not_sent() -> None:
    with pytest.raises(NotSent):
        ask("http://gateway.example/", look_up=knows())


def test_an_address_that_refuses_gives_way_to_the_next(refusing: str) -> None:
    with RawGateway(says(http_answer(body=b"yes"))) as gateway:
        [answer] = ask("http://gateway.example/", look_up=knows(refusing, refusing, gateway.host))
    assert answer.body == b"yes"


def test_an_address_that_is_silent_gives_way_to_the_next(unanswering: str) -> None:
    with RawGateway(says(http_answer(body=b"yes"))) as gateway:
        [answer] = ask("http://gateway.example/", look_up=knows(unanswering, gateway.host))
    assert answer.body == b"yes"


def test_addresses_that_all_refuse_were_not_sent(refusing: str) -> None:
    with pytest.raises(NotSent) as caught:
        ask("http://gateway.example/", look_up=knows(refusing, refusing))
    assert not caught.value.timed_out


# An address in place of the name


def nobody(name: str, port: int) -> list[Endpoint]:
    raise AssertionError(f"{name} was looked up")


def test_an_address_is_connected_to_without_a_look_up_and_the_host_header_keeps_the_name() -> None:
    with RawGateway(says(http_answer(body=b"yes"))) as gateway:
        port = gateway.host.rpartition(":")[2]
        [answer] = ask(f"http://hooks.example:{port}/in", address="127.0.0.1", look_up=nobody)
    assert answer.body == b"yes"
    assert gateway.requests[0].startswith(f"GET /in HTTP/1.1\r\nHost: hooks.example:{port}\r\n".encode())


def with_server_names(context: ssl.SSLContext) -> list[str | None]:
    """What clients ask the server for, in the handshake."""
    asked: list[str | None] = []
    context.sni_callback = lambda _line, name, _context: asked.append(name)
    return asked


def test_the_certificate_is_checked_for_the_name_not_for_the_address(tmp_path: Path) -> None:
    certificate = Certificate(tmp_path, x509.DNSName("hooks.example"))
    asked = with_server_names(certificate.server)
    with RawGateway(says(http_answer(body=b"yes")), tls=certificate.server) as gateway:
        url = f"https://hooks.example:{gateway.host.rpartition(':')[2]}/"
        [answer] = ask(url, address="127.0.0.1", tls=certificate.trusting_client, look_up=nobody)
    assert answer.body == b"yes"
    assert asked == ["hooks.example"]


def test_a_certificate_for_the_address_alone_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    certificate = Certificate(tmp_path, x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    with RawGateway(says(http_answer()), tls=certificate.server) as gateway, pytest.raises(NotSent):
        ask(
            f"https://hooks.example:{gateway.host.rpartition(':')[2]}/",
            address="127.0.0.1",
            tls=certificate.trusting_client,
            look_up=nobody,
        )
    assert gateway.requests == []


def test_a_kept_connection_serves_no_other_address() -> None:
    """127.0.0.2 answers nobody: only the connection to 127.0.0.1 could have carried the second request."""

    async def run(port: str) -> None:
        client = GatewayClient(look_up=nobody)
        url = f"http://hooks.example:{port}/"
        await client.request("GET", url, deadline=LONG, address="127.0.0.1")
        with pytest.raises(NotSent):
            await client.request("GET", url, deadline=LONG, address="127.0.0.2")
        await client.request("GET", url, deadline=LONG, address="127.0.0.1")
        await client.aclose()

    with RawGateway(says(http_answer())) as gateway:
        asyncio.run(run(gateway.host.rpartition(":")[2]))
    assert (gateway.connections, len(gateway.requests)) == (1, 2)


@pytest.mark.parametrize(
    "address", ["localhost", "0x7f.1", "2130706433", "127.1", "127.0.0.1:80", "[::1]", " 127.0.0.1", "١٢٧.0.0.1"]
)
def test_only_the_plain_spelling_of_an_address_is_taken(address: str) -> None:
    with pytest.raises(NotSent, match="must be an IP address"):
        ask("http://hooks.example/", address=address, look_up=nobody)


def test_a_proxy_would_look_the_name_up_itself_so_that_an_address_is_refused() -> None:
    with RawGateway(says(http_answer())) as proxy, pytest.raises(NotSent, match="direct connection"):
        ask("http://hooks.example/", address="127.0.0.1", proxy=f"http://{proxy.host}")
    assert proxy.connections == 0


def test_an_ipv6_address_is_reached() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        port = listener.getsockname()[1]

        def serve() -> None:
            line, _ = listener.accept()
            with line:
                assert b"Host: " in line.recv(4096)
                line.sendall(http_answer(body=b"six"))

        server = threading.Thread(target=serve)
        server.start()
        [answer] = ask(f"http://[::1]:{port}/", look_up=nobody)
        server.join()
    assert answer.body == b"six"
