"""The way out to gateways holds against every server and network that we could think of."""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import itertools
import socket
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from otp_service.channels.http import MAX_ANSWER, GatewayClient, HttpAnswer, MaybeSent, NotSent
from tests.certificate import Certificate
from tests.raw_gateway import Play, RawGateway, http_answer, resets, says

LONG = 30.0
"""Seconds: a deadline that no test reaches."""
SHORT = 0.3


def post(*urls: str, deadline: float = LONG, **options: Any) -> list[HttpAnswer]:
    """POST to each in turn, by one client."""

    async def run() -> list[HttpAnswer]:
        client = GatewayClient(**options)
        try:
            return [await client.post(url, b"a=1", content_type="text/x", deadline=deadline) for url in urls]
        finally:
            await client.aclose()

    return asyncio.run(run())


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port that is taken but refuses: bound, not listening."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


# What is asked and answered


def test_the_request_is_one_plain_post_that_keeps_nothing_from_earlier_answers() -> None:
    """Byte by byte, the second one too: no cookie of the first answer comes back."""
    with RawGateway(says(http_answer(headers={"Set-Cookie": "ASP.NET_SessionId=1"}))) as gateway:
        post(f"http://{gateway.host}/sms.aspx?action=send", f"http://{gateway.host}/sms.aspx?action=send")
    expected = (
        f"POST /sms.aspx?action=send HTTP/1.1\r\nHost: {gateway.host}\r\nContent-Type: text/x\r\nAccept: */*\r\n"
        "Accept-Encoding: identity\r\nUser-Agent: otp-service\r\nContent-Length: 3\r\n\r\na=1"
    ).encode()
    assert gateway.requests == [expected, expected]


def test_a_connection_is_used_again() -> None:
    with RawGateway(says(http_answer(body=b"yes"))) as gateway:
        answers = post(*[f"http://{gateway.host}/"] * 3)
    assert [answer.body for answer in answers] == [b"yes"] * 3
    assert gateway.connections == 1


def test_many_requests_at_once_share_the_connections_that_are_allowed() -> None:
    async def burst(url: str) -> list[HttpAnswer]:
        client = GatewayClient(max_connections=3)
        sending = [client.post(url, b"", content_type="text/x", deadline=LONG) for _ in range(20)]
        answers = await asyncio.gather(*sending)
        await client.aclose()
        return answers

    with RawGateway(says(http_answer(body=b"yes"))) as gateway:
        answers = asyncio.run(burst(f"http://{gateway.host}/"))
    assert [answer.status for answer in answers] == [200] * 20
    assert 1 <= gateway.connections <= 3


@pytest.mark.parametrize("status", [200, 204, 301, 302, 307, 308, 404, 500, 503])
def test_every_status_is_handed_back_as_it_came(status: int) -> None:
    with RawGateway(says(http_answer(status))) as gateway:
        assert post(f"http://{gateway.host}/")[0].status == status


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    """T62."""
    elsewhere = RawGateway(says(http_answer()))
    answer = http_answer(status, headers={"Location": f"http://{elsewhere.host}/"})
    with elsewhere, RawGateway(says(answer)) as gateway:
        post(f"http://{gateway.host}/")
    assert elsewhere.connections == 0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30", 30.0),
        (" 0 ", 0.0),
        ("99999999999999999999", 86_400.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 60.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("³", None),
        ("", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(value: str, seconds: float | None) -> None:
    with RawGateway(says(http_answer(503, headers={"Retry-After": value}).replace(b"\xc2", b""))) as gateway:
        assert post(f"http://{gateway.host}/", clock=lambda: 40.0)[0].retry_after == seconds


# Answers made to hurt


def endless(line: socket.socket) -> None:
    line.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in itertools.count():
        line.sendall(b"400\r\n" + b"x" * 1024 + b"\r\n")


def test_an_endless_body_is_cut_just_over_the_cap() -> None:
    """T60."""
    with RawGateway(endless) as gateway:
        assert len(post(f"http://{gateway.host}/")[0].body) == MAX_ANSWER + 1


def test_a_body_of_exactly_the_cap_is_whole() -> None:
    with RawGateway(says(http_answer(body=b"x" * MAX_ANSWER))) as gateway:
        assert len(post(f"http://{gateway.host}/")[0].body) == MAX_ANSWER


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP", "deflate"])
def test_a_gzip_bomb_is_cut_just_over_the_cap(encoding: str) -> None:
    """T60."""
    bomb = gzip.compress(b"0" * 50_000_000)
    bomb = bomb[10:-8] if encoding == "deflate" else bomb
    with RawGateway(says(http_answer(body=bomb, headers={"Content-Encoding": encoding}))) as gateway:
        assert len(post(f"http://{gateway.host}/")[0].body) == MAX_ANSWER + 1


def test_an_honest_gzip_answer_is_read_though_we_asked_for_none() -> None:
    body = gzip.compress(b"<returnsms/>")
    with RawGateway(says(http_answer(body=body, headers={"Content-Encoding": "gzip"}))) as gateway:
        assert post(f"http://{gateway.host}/")[0].body == b"<returnsms/>"


@pytest.mark.parametrize("cut", [1, 8, 12], ids=["its last byte", "its sum", "its last block"])
@pytest.mark.parametrize("window", [zlib.MAX_WBITS + 16, zlib.MAX_WBITS], ids=["gzip", "deflate"])
def test_compression_without_its_end_leaves_the_bytes_as_they_are(window: int, cut: int) -> None:
    """Whoever cut it may have cut more than the sum: only a list is read as far as it goes."""
    squeezed = zlib.compressobj(wbits=window)
    body = (squeezed.compress(b"<returnsms/>") + squeezed.flush())[:-cut]
    encoding = "gzip" if window > zlib.MAX_WBITS else "deflate"
    with RawGateway(says(http_answer(body=body, headers={"Content-Encoding": encoding}))) as gateway:
        [answer] = post(f"http://{gateway.host}/")
    assert answer.body == body
    assert b"<returnsms/>".startswith(answer.unpacked)


def test_a_body_that_is_not_there_is_not_cut() -> None:
    with RawGateway(says(http_answer(headers={"Content-Encoding": "gzip"}))) as gateway:
        [answer] = post(f"http://{gateway.host}/")
    assert (answer.body, answer.unpacked) == (b"", b"")


def test_deflate_is_read_with_and_without_zlibs_head() -> None:
    for window in (zlib.MAX_WBITS, -zlib.MAX_WBITS):
        squeezed = zlib.compressobj(wbits=window)
        body = squeezed.compress(b"<returnsms/>" * 50) + squeezed.flush()
        with RawGateway(says(http_answer(body=body, headers={"Content-Encoding": "deflate"}))) as gateway:
            assert post(f"http://{gateway.host}/")[0].body == b"<returnsms/>" * 50


@pytest.mark.parametrize("body", [b"plain", b"<returnsms/>", b'{"respCode":"00000"}', b""])
def test_deflate_that_is_none_leaves_the_bytes_as_they_are(body: bytes) -> None:
    with RawGateway(says(http_answer(body=body, headers={"Content-Encoding": "deflate"}))) as gateway:
        assert post(f"http://{gateway.host}/")[0].body == body


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "nonsense"])
def test_a_content_encoding_that_lies_leaves_the_bytes_as_they_are(encoding: str) -> None:
    with RawGateway(says(http_answer(body=b"plain", headers={"Content-Encoding": encoding}))) as gateway:
        assert post(f"http://{gateway.host}/")[0].body == b"plain"


# Nothing left


def test_a_refused_connection_was_not_sent(free_port: int) -> None:
    with pytest.raises(NotSent) as caught:
        post(f"http://127.0.0.1:{free_port}/")
    assert not caught.value.timed_out


def test_a_name_that_does_not_resolve_was_not_sent() -> None:
    with pytest.raises(NotSent):
        post("http://gateway.invalid/")


def test_a_name_that_no_resolver_takes_was_not_sent() -> None:
    with pytest.raises(NotSent):
        post(f"http://{'a' * 64}.invalid/")


def test_a_self_signed_certificate_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    """T62."""
    certificate = Certificate(tmp_path, LOOPBACK)
    with RawGateway(says(http_answer()), tls=certificate.server) as gateway, pytest.raises(NotSent):
        post(f"https://{gateway.host}/")
    assert gateway.requests == []


def test_a_certificate_for_another_name_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    """T62."""
    certificate = Certificate(tmp_path, x509.DNSName("other.example"))
    with RawGateway(says(http_answer()), tls=certificate.server) as gateway, pytest.raises(NotSent):
        post(f"https://{gateway.host}/", tls=certificate.trusting_client)
    assert gateway.requests == []


def test_a_certificate_that_is_trusted_and_fits_is_taken(tmp_path: Path) -> None:
    """The control of the two tests above."""
    certificate = Certificate(tmp_path, LOOPBACK)
    with RawGateway(says(http_answer(body=b"yes")), tls=certificate.server) as gateway:
        assert post(f"https://{gateway.host}/", tls=certificate.trusting_client)[0].body == b"yes"


def test_a_deadline_during_the_tls_handshake_was_not_sent() -> None:
    """The server takes the connection and says nothing: our bytes so far are the handshake's."""
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(NotSent) as caught:
        post(f"https://127.0.0.1:{silent.getsockname()[1]}/", deadline=SHORT)
    assert caught.value.timed_out


def test_a_deadline_while_waiting_for_a_free_connection_was_not_sent() -> None:
    async def run(url: str) -> list[Any]:
        client = GatewayClient(max_connections=1)
        sending = [client.post(url, b"", content_type="text/x", deadline=seconds) for seconds in (SHORT * 2, SHORT)]
        return await asyncio.gather(*sending, return_exceptions=True)

    with RawGateway(lambda line: gateway.wait_for_end(line)) as gateway:
        first, second = asyncio.run(run(f"http://{gateway.host}/"))
    assert (type(first), type(second)) == (MaybeSent, NotSent)
    assert len(gateway.requests) == 1


# Perhaps sent


def closes(line: socket.socket) -> None:
    line.shutdown(socket.SHUT_RDWR)


def says_and_closes(answer: bytes) -> Play:
    def play(line: socket.socket) -> None:
        line.sendall(answer)
        line.shutdown(socket.SHUT_RDWR)

    return play


def says_and_resets(answer: bytes) -> Play:
    def play(line: socket.socket) -> None:
        line.sendall(answer)
        resets(line)

    return play


@pytest.mark.parametrize(
    "play",
    [
        pytest.param(closes, id="closed without an answer"),
        pytest.param(resets, id="reset after the request"),
        pytest.param(says_and_resets(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<ret"), id="reset in the body"),
        pytest.param(says_and_closes(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<ret"), id="truncated"),
        pytest.param(
            says_and_closes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc"), id="a chunk cut"
        ),
        pytest.param(says_and_closes(b"HTTP/1.1 20"), id="the status line cut"),
        pytest.param(says_and_closes(b"13800138000 345678 \r\n\r\n"), id="no HTTP"),
        pytest.param(says_and_closes(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n"), id="a huge header"),
    ],
)
def test_a_connection_that_breaks_after_the_request_began_may_have_sent(play: Play) -> None:
    with RawGateway(play) as gateway, pytest.raises(MaybeSent) as caught:
        post(f"http://{gateway.host}/")
    assert not caught.value.timed_out
    assert not any(character.isdigit() for character in str(caught.value).replace("http", ""))


def test_a_kept_connection_that_closes_under_the_next_request_may_have_sent() -> None:
    plays = iter([says(http_answer()), closes])
    with RawGateway(lambda line: next(plays)(line)) as gateway, pytest.raises(MaybeSent):
        post(*[f"http://{gateway.host}/"] * 2)
    assert gateway.connections == 1


def test_silence_after_the_request_ends_at_the_deadline() -> None:
    with RawGateway(lambda line: gateway.wait_for_end(line)) as gateway, pytest.raises(MaybeSent) as caught:
        post(f"http://{gateway.host}/", deadline=SHORT)
    assert caught.value.timed_out


@pytest.mark.parametrize("part", ["head", "body"])
def test_a_slow_drip_that_satisfies_every_single_read_ends_at_the_total_deadline(part: str) -> None:
    def drip(line: socket.socket) -> None:
        line.sendall(b"HTTP/1.1 200 OK\r\n" + (b"Content-Length: 100000\r\n\r\n" if part == "body" else b"X: "))
        while not gateway.closing.wait(0.02):
            line.sendall(b"x")

    with RawGateway(drip) as gateway, pytest.raises(MaybeSent) as caught:
        post(f"http://{gateway.host}/", deadline=SHORT)
    assert caught.value.timed_out


def test_a_client_goes_on_after_a_failure() -> None:
    async def run(url: str) -> int:
        client = GatewayClient(max_connections=1)
        with pytest.raises(MaybeSent):
            await client.post(url, b"", content_type="text/x", deadline=LONG)
        answer = await client.post(url, b"", content_type="text/x", deadline=LONG)
        await client.aclose()
        return answer.status

    plays = iter([resets, says(http_answer())])
    with RawGateway(lambda line: next(plays)(line)) as gateway:
        assert asyncio.run(run(f"http://{gateway.host}/")) == 200


def test_a_cancelled_call_stays_cancelled() -> None:
    async def run(url: str) -> None:
        client = GatewayClient()
        sending = asyncio.create_task(client.post(url, b"", content_type="text/x", deadline=LONG))
        assert await asyncio.to_thread(gateway.asked.wait, LONG)
        sending.cancel()
        await sending

    with RawGateway(lambda line: gateway.wait_for_end(line)) as gateway, pytest.raises(asyncio.CancelledError):
        asyncio.run(run(f"http://{gateway.host}/"))


# Proxies


def test_the_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """T62."""
    with RawGateway(says(http_answer())) as proxy, RawGateway(says(http_answer())) as gateway:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://{proxy.host}")
        post(f"http://{gateway.host}/")
    assert (proxy.connections, len(gateway.requests)) == (0, 1)


def test_a_named_proxy_carries_the_request() -> None:
    with RawGateway(says(http_answer(body=b"yes"))) as proxy:
        assert post("http://gateway.invalid/sms.aspx", proxy=f"http://{proxy.host}")[0].body == b"yes"
    assert proxy.targets() == ["POST http://gateway.invalid/sms.aspx"]


def test_a_proxy_that_refuses_the_tunnel_has_sent_nothing() -> None:
    with RawGateway(says(http_answer(502))) as proxy, pytest.raises(NotSent):
        post("https://gateway.invalid/", proxy=f"http://{proxy.host}")
    assert proxy.targets() == ["CONNECT gateway.invalid:443"]


def test_a_proxy_that_is_silent_on_the_tunnel_has_sent_nothing() -> None:
    with RawGateway(lambda line: proxy.wait_for_end(line)) as proxy, pytest.raises(NotSent) as caught:
        post("https://gateway.invalid/", proxy=f"http://{proxy.host}", deadline=SHORT)
    assert caught.value.timed_out
