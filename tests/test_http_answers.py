"""What is asked, and answers that a client could take for something else than they are."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service.channels.http import MAX_ANSWER, GatewayClient, HttpAnswer, HttpError, MaybeSent, NotSent
from otp_service.channels.http.answer import read_answer
from otp_service.channels.http.exchange import MAX_HEAD
from otp_service.channels.http.request import build_request
from tests.raw_gateway import Play, RawGateway, http_answer, resets, says

LONG = 30.0
"""Seconds: a deadline that no test reaches."""


def ask(
    *urls: str, method: str = "GET", body: bytes = b"", headers: dict[str, str] | None = None, **options: Any
) -> list[HttpAnswer]:
    async def run() -> list[HttpAnswer]:
        client = GatewayClient(**options)
        try:
            return [await client.request(method, url, body, headers or {}, deadline=LONG) for url in urls]
        finally:
            await client.aclose()

    return asyncio.run(run())


def ends(answer: bytes) -> Play:
    """Says it and closes."""

    def play(line: socket.socket) -> None:
        line.sendall(answer)
        line.shutdown(socket.SHUT_RDWR)

    return play


def said(answer: bytes, *, method: str = "GET") -> HttpAnswer:
    """What a client makes of `answer` from a gateway that closes after it."""
    with RawGateway(ends(answer)) as gateway:
        return ask(f"http://{gateway.host}/", method=method)[0]


# The request


def test_a_get_without_a_body_declares_none() -> None:
    with RawGateway(says(http_answer())) as gateway:
        ask(f"http://{gateway.host}/balance?unit=1")
    expected = (
        f"GET /balance?unit=1 HTTP/1.1\r\nHost: {gateway.host}\r\nAccept: */*\r\n"
        "Accept-Encoding: identity\r\nUser-Agent: otp-service\r\n\r\n"
    ).encode()
    assert gateway.requests == [expected]


def test_headers_of_the_caller_replace_those_that_only_describe() -> None:
    with RawGateway(says(http_answer())) as gateway:
        ask(f"http://{gateway.host}/", method="put", body=b"12", headers={"accept": "a/b", "USER-AGENT": "me"})
    head = gateway.requests[0].decode().lower()
    assert head.startswith("put / http/1.1")
    assert (head.count("accept: "), head.count("user-agent: ")) == (1, 1)
    assert "content-length: 2\r\n" in head


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "Connection", "EXPECT", "Upgrade"])
def test_no_caller_sets_where_a_request_goes_or_ends(name: str) -> None:
    with RawGateway(says(http_answer())) as gateway, pytest.raises(NotSent, match="alone"):
        ask(f"http://{gateway.host}/", headers={name: "1"})
    assert gateway.connections == 0


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {"X": "secret\r\nHost: elsewhere"}),
        ("GET", {"X": "secret\nA: b"}),
        ("GET", {"X": "secret\0"}),
        ("GET", {"X": "sécret"}),
        ("GET", {"X\r\nA": "secret"}),
        ("GET", {"X ": "secret"}),
        ("GET", {"": "secret"}),
        ("GET / HTTP/1.1\r\nA: secret\r\n\r\nGET", {}),
        ("CONNECT", {}),
        ("", {}),
    ],
)
def test_what_would_end_a_line_early_is_never_sent_nor_told(method: str, headers: dict[str, str]) -> None:
    with RawGateway(says(http_answer())) as gateway, pytest.raises(NotSent) as caught:
        ask(f"http://{gateway.host}/", method=method, headers=headers)
    assert gateway.connections == 0
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["ftp://gateway.example/", "gateway.example", "http://", "http:///a", "http://[::1", "http://a:99999/", "",
     "http://.example/", "http://a/b\r\nX: y", "http://a/?b\r\nX: y", "//a/"],
)  # fmt: skip
def test_an_address_that_leads_nowhere_was_not_sent(url: str) -> None:
    with pytest.raises(NotSent):
        ask(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://gateway.example", "http://GATEWAY.example:80/a/../b", "https://gateway.example:443/%41?%41=%", "http://h?a=b",
        "http://h:8080/?", "http://h/a?b?c=d&e=f+g/h:i@j,k;l!m$n*(o)p~q_r-s.t", "http://h/?a='b'", "http://h/?a=b c#d",
        "http://h/a b?c", "http://h/ü?ü", "https://[::1]:8443/a", "http://me:secret@h/a?b", "http://h/#a?b", "http://bücher.example/",
        "http://h/?a=[b]{c}|d^e`f\"g<h>i\\j",
    ],
)  # fmt: skip
def test_addresses_are_read_as_httpx_reads_them(url: str) -> None:
    whole = httpx.URL(url)
    request = build_request("GET", url, b"", {}, "")
    assert request.target == whole.raw_path
    assert dict(request.headers)["Host"] == whole.netloc.decode()
    assert request.place.host == whole.raw_host.decode()


@pytest.mark.parametrize("deadline", [0.0, -1.0])
def test_a_deadline_that_has_passed_sends_nothing_even_where_a_connection_waits(deadline: float) -> None:
    async def run(url: str) -> None:
        client = GatewayClient()
        await client.request("GET", url, deadline=LONG)
        with pytest.raises(NotSent) as caught:
            await client.request("GET", url, deadline=deadline)
        assert caught.value.timed_out
        await client.aclose()

    with RawGateway(says(http_answer())) as gateway:
        asyncio.run(run(f"http://{gateway.host}/"))
    assert len(gateway.requests) == 1


# Where an answer ends

ANSWERS = {
    "length": b"HTTP/1.1 200 OK\r\nX: 1\r\nContent-Length: 4\r\n\r\nbody",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\nb\r\n3\r\nody\r\n0\r\nX: y\r\n\r\n",
    "interim": b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("end", [lambda line: line.shutdown(socket.SHUT_RDWR), resets], ids=["closed", "reset"])
def test_an_answer_that_is_cut_anywhere_may_have_sent(answer: bytes, end: Play) -> None:
    """At every byte."""
    cuts = iter(range(len(answer)))

    def play(line: socket.socket) -> None:
        line.sendall(answer[: next(cuts)])
        end(line)

    async def run(url: str) -> None:
        client = GatewayClient()
        for _ in answer:
            with pytest.raises(MaybeSent) as caught:
                await client.request("GET", url, deadline=LONG)
            assert not caught.value.timed_out
        await client.aclose()

    with RawGateway(play) as gateway:
        asyncio.run(run(f"http://{gateway.host}/"))
    assert len(gateway.requests) == len(answer)


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_that_comes_byte_by_byte_is_the_same(answer: bytes) -> None:
    def drip(line: socket.socket) -> None:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in answer:
            line.sendall(bytes((byte,)))
            time.sleep(0)

    with RawGateway(drip) as gateway:
        answers = ask(*[f"http://{gateway.host}/"] * 2)
    assert [(answer.status, answer.body) for answer in answers] == [(200, b"body")] * 2
    assert gateway.connections == 1


@pytest.mark.parametrize(
    "head",
    ["HTTP/1.0 200 OK\r\n", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nConnection: close\r\n", "HTTP/1.1 200\r\n"],
)
def test_a_body_without_a_length_ends_with_the_connection(head: str) -> None:
    assert said(f"{head}\r\nall that came".encode()).body == b"all that came"


def test_a_body_without_a_length_that_is_reset_is_not_whole() -> None:
    def play(line: socket.socket) -> None:
        line.sendall(b"HTTP/1.0 200 OK\r\n\r\nhalf of")
        resets(line)

    with RawGateway(play) as gateway, pytest.raises(MaybeSent):
        ask(f"http://{gateway.host}/")


@pytest.mark.parametrize(
    "head",
    [
        "Content-Length: 4\r\nContent-Length: 5",
        "Content-Length: 4, 5",
        "Content-Length: -1",
        "Content-Length: +4",
        "Content-Length: 0x4",
        "Content-Length: 4 4",
        "Content-Length: 999999999999999999999999",
        "Content-Length:",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: xchunked",
        "Content Length: 4",
        " Content-Length: 4",
        "no colon",
        "Nul: \0",
    ],
)
def test_a_head_that_can_be_read_in_two_ways_is_no_answer(head: str) -> None:
    with pytest.raises(MaybeSent):
        said(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\nbody".encode())


@pytest.mark.parametrize(
    "first", ["HTTP/2 200 OK", "HTTP/1.1 OK", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 099 OK", "ICY 200 OK",
              "HTTP/1.1 ٢٠٠ OK", "HTTP/1.1 101 Switching Protocols", "", "\x16\x03\x01"]
)  # fmt: skip
def test_a_first_line_that_is_no_answer_may_have_sent_and_is_not_told(first: str) -> None:
    with pytest.raises(MaybeSent) as caught:
        said(f"{first}\r\nX: 13800138000\r\n\r\n345678".encode())
    told = [str(caught.value), repr(caught.value.__cause__)]
    assert not any(word in text for word in ("13800138000", "345678", "200", "099") for text in told)


def test_interim_answers_are_passed_over() -> None:
    """100 comes from servers that were never asked to say it."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\n" + b"HTTP/1.1 102 Processing\r\nX: y\r\n\r\n" * 3
    with RawGateway(says(interim + http_answer(202, b"yes"))) as gateway:
        answers = ask(*[f"http://{gateway.host}/"] * 2, method="POST", body=b"x")
    assert [(answer.status, answer.body) for answer in answers] == [(202, b"yes")] * 2
    assert gateway.connections == 1


@pytest.mark.parametrize(
    "again",
    [
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", id="interim answers"),
        pytest.param(b"X: y\r\n", id="headers"),
        pytest.param(b"x" * 100, id="one header"),
    ],
)
def test_a_head_without_end_is_cut_short_of_the_deadline(again: bytes) -> None:
    def play(line: socket.socket) -> None:
        line.sendall(b"" if again.startswith(b"HTTP") else b"HTTP/1.1 200 OK\r\nA: ")
        while not gateway.closing.is_set():
            line.sendall(again * 100)

    with RawGateway(play) as gateway, pytest.raises(MaybeSent) as caught:
        ask(f"http://{gateway.host}/")
    assert not caught.value.timed_out


@pytest.mark.parametrize(
    "again",
    [pytest.param(b"1;" + b"x" * 200 + b"\r\ny\r\n", id="long sizes"), pytest.param(b"9" * 100, id="one size")],
)
def test_chunks_that_are_all_frame_are_cut_short_of_the_deadline(again: bytes) -> None:
    def play(line: socket.socket) -> None:
        line.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not gateway.closing.is_set():
            line.sendall(again * 100)

    with RawGateway(play) as gateway, pytest.raises(MaybeSent) as caught:
        ask(f"http://{gateway.host}/")
    assert not caught.value.timed_out


def test_a_long_head_is_read() -> None:
    """Some gateways have a Content-Security-Policy on everything."""
    long = "x" * (MAX_HEAD - 200)
    with RawGateway(says(http_answer(200, b"yes", {"X": long}))) as gateway:
        assert ask(f"http://{gateway.host}/")[0].body == b"yes"


def test_a_body_in_thousands_of_chunks_leaves_others_their_turn() -> None:
    turns = 0

    async def run(url: str) -> HttpAnswer:
        nonlocal turns
        client = GatewayClient()
        asking = asyncio.create_task(client.request("GET", url, deadline=LONG))
        while not asking.done():
            turns += 1
            await asyncio.sleep(0)
        await client.aclose()
        return await asking

    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 60_000 + b"0\r\n\r\n"
    with RawGateway(says(chunks)) as gateway:
        answer = asyncio.run(run(f"http://{gateway.host}/"))
    assert answer.body == b"x" * 60_000
    assert turns > 500


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304), ("POST", 204)])
def test_some_answers_have_no_body_whatever_they_declare(method: str, status: int) -> None:
    bare = http_answer(status, headers={"Content-Length": "5"})
    with RawGateway(says(bare)) as gateway:
        answers = ask(*[f"http://{gateway.host}/"] * 2, method=method)
    assert [(answer.status, answer.body) for answer in answers] == [(status, b"")] * 2
    assert gateway.connections == 1


def test_two_headers_of_one_name_are_one_list() -> None:
    twice = b"HTTP/1.1 503 No\r\nRetry-After: 30\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n"
    assert said(twice).retry_after is None


@given(
    st.lists(st.tuples(st.sampled_from([b"retry-after", b"content-encoding", b"x"]), st.binary(max_size=40))),
    st.binary(max_size=50),
)
def test_no_header_and_no_body_keep_an_answer_from_being_read(headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """An answer has come: a header that only garnishes it must not turn an accepted message into an unknown one."""
    assert len(read_answer(200, headers, body, 0.0).body) <= MAX_ANSWER + 1


@given(st.lists(st.sampled_from(["Mon", "1", ",", " ", "Jan", "2026", ":", "-", "+", "99", "GMT", "a", "\t", "."])))
def test_no_date_keeps_an_answer_from_being_read(words: list[str]) -> None:
    answer = read_answer(503, [(b"Retry-After", "".join(words).encode())], b"", 0.0)
    assert answer.retry_after is None or answer.retry_after >= 0


def test_whatever_fails_is_one_of_ours() -> None:
    """The words for it hold neither the address nor what was sent."""
    with RawGateway(ends(b"secret")) as gateway, pytest.raises(HttpError) as caught:
        ask(f"http://{gateway.host}/secret", method="POST", body=b"secret", headers={"X": "secret"})
    assert "secret" not in str(caught.value)
