"""Requests that two readers read differently, at the door of the running service: one answer each, and never a 5xx."""

from __future__ import annotations

import json
import re
import socket

import pytest

from tests.service.conftest import Service

pytestmark = pytest.mark.xdist_group("service")

PATH = b"/v1/verifications"
BODY = b'{"to":"13800138000","purpose":"nothing"}'
"""Refused (400) by whoever reads it whole, and counted nowhere."""
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
HIDDEN = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"


def spoken(service: Service, request: bytes) -> bytes:
    """All that comes back until the server closes."""
    url = service.api.base_url
    with socket.create_connection((url.host, url.port), timeout=30) as line:
        parts = []
        try:
            line.sendall(request)
            while part := line.recv(65536):
                parts.append(part)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it was closed before all was sent
        return b"".join(parts)


def asked(
    service: Service, path: bytes = PATH, headers: bytes = LENGTH, body: bytes = BODY, method: bytes = b"POST"
) -> tuple[list[int], str]:
    """The statuses of all answers on that connection, and the problem that the last one names."""
    head = b"Host: x\r\nConnection: close\r\nContent-Type: application/json\r\nAuthorization: Bearer %b\r\n"
    said = spoken(service, b"%b %b HTTP/1.1\r\n%b%b\r\n%b" % (method, path, head % service.key.encode(), headers, body))
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.[01] ([0-9]{3})", said) if status != b"100"]
    problem = re.findall(rb'"problem":"(\w+)"', said)
    return statuses, problem[-1].decode() if problem else ""


def test_the_plain_request_is_read(service: Service) -> None:
    """The control: what follows differs from it in one thing."""
    assert asked(service) == ([400], "unknown_purpose")


FRAMES = {
    "two lengths": LENGTH + b"Content-Length: 5\r\n",
    "a length list": b"Content-Length: 40, 40\r\n",
    "a signed length": b"Content-Length: +40\r\n",
    "a negative length": b"Content-Length: -1\r\n",
    "a length in hex": b"Content-Length: 0x28\r\n",
    "a length beyond 64 bits": b"Content-Length: 99999999999999999999\r\n",
    "a length and chunks": LENGTH + CHUNKED,
    "chunks and a length": CHUNKED + LENGTH,
    "unknown coding": b"Transfer-Encoding: xchunked\r\n",
    "identity": b"Transfer-Encoding: identity\r\n",
    "chunked twice": b"Transfer-Encoding: chunked, chunked\r\n",
    "chunked not last": b"Transfer-Encoding: chunked, gzip\r\n",
    "a blank before the colon": b"Transfer-Encoding : chunked\r\n",
    "a folded line": LENGTH + b"X-A: a\r\n b\r\n",
    "a NUL": LENGTH + b"X-A: a\x00b\r\n",
    "a bare CR": LENGTH + b"X-A: a\rContent-Length: 5\r\n",
    "a line without a name": LENGTH + b": x\r\n",
}


@pytest.mark.parametrize("headers", FRAMES.values(), ids=FRAMES)
def test_a_body_whose_end_is_ambiguous_is_refused_and_nothing_behind_it_is_a_request(
    service: Service, headers: bytes
) -> None:
    """T51, T53: no second request hides in the body of the first, however lengths and codings contradict each other."""
    statuses, _ = asked(service, headers=headers, body=BODY + HIDDEN)
    assert set(statuses) <= {400}
    assert len(statuses) <= 1


CHUNKS = {
    "no number": b"ZZ\r\nabc\r\n0\r\n\r\n",
    "a number beyond 64 bits": b"FFFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n",
    "a signed number": b"+28\r\n%b\r\n0\r\n\r\n" % BODY,
    "a long extension": b"28;%b\r\n%b\r\n0\r\n\r\n" % (b"a" * 100_000, BODY),
    "longer than it says": b"5\r\n" + BODY + b"\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("body", CHUNKS.values(), ids=CHUNKS)
def test_chunks_that_are_none_are_refused(service: Service, body: bytes) -> None:
    """T53."""
    statuses, problem = asked(service, headers=CHUNKED, body=body)
    assert (statuses, problem) in [([400], "invalid_request"), ([400], ""), ([], "")]


def test_what_stands_in_a_trailer_is_no_header(service: Service) -> None:
    """T51: a key or another length that comes behind the body comes too late."""
    body = b"28\r\n%b\r\n0\r\nAuthorization: Bearer otp_x\r\nIdempotency-Key: \xff\r\n\r\n" % BODY
    assert asked(service, headers=CHUNKED, body=body) == ([400], "unknown_purpose")


@pytest.mark.parametrize(
    "path",
    [
        *(b"/v1/verifications/", b"/v1//verifications", b"//x/v1/verifications", b"/V1/verifications", b"*"),
        *(b"/v1/verifications;x=1", b"/v1/verifications%2f", b"/v1/./verifications", b"/v1/x/../verifications"),
        *(b"/v1/verifications%00", b"/v1/verifications%0a", b"/v1/verifications%", b"/v1/verifications\\"),
    ],
)
def test_a_path_that_is_almost_one_of_ours_is_not_found(service: Service, path: bytes) -> None:
    """No slash is added, dropped or resolved, and no one is sent elsewhere with a body."""
    assert asked(service, path) == ([404], "not_found")


@pytest.mark.parametrize(
    "ending", [b"/", b"%20", b"%0a", b"%00", b"%2e", b"%2f", b"%ff%fe", b"%ed%a0%80", b"%", b"%zz", b"\\", b";a=b"]
)
def test_an_id_with_something_behind_it_is_not_found(service: Service, ending: bytes) -> None:
    id = service.api.post("/v1/verifications", json={"to": "13800138555", "purpose": "login", "session": ending.hex()})
    path = b"%b/%b" % (PATH, id.json()["id"].encode())
    assert asked(service, path, b"", b"", b"GET")[0] == [200]
    assert asked(service, path + ending, b"", b"", b"GET") == ([404], "not_found")


@pytest.mark.parametrize("method", [b"HEAD", b"TRACE", b"CONNECT", b"PUT", b"PATCH", b"FOO", b"PROPFIND"])
def test_another_method_is_refused_and_echoes_nothing(service: Service, method: bytes) -> None:
    """TRACE would give back the key."""
    assert asked(service, method=method, headers=b"", body=b"")[0] == [405]


def test_a_header_that_says_another_method_or_address_is_not_believed(service: Service) -> None:
    """What some frameworks take from headers, ours takes from the request line."""
    id = service.api.post("/v1/verifications", json={"to": "13800138666", "purpose": "login"}).json()["id"]
    headers = (
        b"X-HTTP-Method-Override: DELETE\r\nX-Original-URL: /livez\r\nX-Rewrite-URL: /livez\r\nScript-Name: /x\r\n"
    )
    assert asked(service, b"%b/%b" % (PATH, id.encode()), headers, b"", b"GET")[0] == [200]
    assert service.api.get(f"/v1/verifications/{id}").json()["status"] == "pending"


@pytest.mark.parametrize("value", [b"\xe9", "é".encode(), b"a" * 256, b"\x01", b""])
def test_an_idempotency_key_in_another_charset_or_too_long_is_a_400(service: Service, value: bytes) -> None:
    """T51: in the request itself, as the server in front hands it on."""
    statuses, problem = asked(service, headers=LENGTH + b"Idempotency-Key: %b\r\n" % value)
    assert (statuses, problem) in [([400], "invalid_request"), ([400], "")]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /livez\r\n\r\n",
        b"GET /livez HTTP/9.9\r\n\r\n",
        b"G\x00T /livez HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n" + b"".join(b"X-%d: a\r\n" % n for n in range(10_000)) + b"\r\n",
    ],
    ids=["TLS", "HTTP/2", "HTTP/0.9", "HTTP/9.9", "NUL", "long path", "10,000 headers"],
)
def test_what_is_no_request_of_http_1_1_is_refused_and_the_service_lives(
    service: Service, request_bytes: bytes
) -> None:
    """T51: the next request is answered as if nothing had been."""
    statuses = re.findall(rb"HTTP/1\.[01] ([0-9]{3})", spoken(service, request_bytes))
    assert all(400 <= int(status) < 500 for status in statuses)
    assert service.api.get("/livez").json() == {"status": "ok"}


def test_a_body_in_another_charset_or_with_a_mark_in_front_is_a_400(service: Service) -> None:
    """T53: JSON is UTF-8, whatever a header says."""
    for body in (BODY.decode().encode("utf-16"), b"\xef\xbb\xbf" + BODY, BODY.replace(b"login", b"\xb5\xc7")):
        headers = b"Content-Length: %d\r\n" % len(body)
        assert asked(service, headers=headers, body=body)[0] == [400]
    assert json.loads(BODY)["purpose"] == "nothing"
