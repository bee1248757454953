"""Addresses that a caller makes up, and answers of gateways that are made to hurt or belong to somebody else."""

from __future__ import annotations

import gzip
import itertools
import json
import random
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from otp_service.api_keys import ClientKeys, new_key
from otp_service.channels.http import NotSent
from otp_service.channels.sms_aspx.answers import read_answer
from otp_service.channels.sms_aspx.boxes import MAX_LIST, STATUSES, read_rows
from otp_service.channels.sms_aspx.leaves import UnreadableError
from otp_service.policy import Limits, Window
from otp_service.ports import Outcome
from otp_service.web.app import create_app
from otp_service.web.service import Service
from tests.certificate import Certificate
from tests.channel_tables import deliver as deliver_by_table
from tests.cli.processes import ROOT
from tests.protocol_channels import BUILD, MESSAGE, deliver
from tests.raw_gateway import Play, RawGateway, http_answer, says
from tests.test_channel_http import LOOPBACK, post
from tests.world import SHOP, World

# --- T55: where a person is, is what the caller says in the body ------------------------------------------------------

FORGED: dict[str, Callable[[str, str], str]] = {
    "X-Forwarded-For": lambda one, other: one,
    "X-Forwarded-For of one proxy": lambda one, other: f"{one}, {other}",
    "X-Forwarded-For of two proxies": lambda one, other: f"{one}, {other}, 10.0.0.1",
    "X-Real-IP": lambda one, other: one,
    "Forwarded": lambda one, other: f'for={one};by=10.0.0.1, for="[2001:db8::7]"',
    "True-Client-IP": lambda one, other: one,
    "CF-Connecting-IP": lambda one, other: one,
}


def some_address(chance: random.Random) -> str:
    return ".".join(str(chance.randrange(1, 255)) for _ in range(4))


@pytest.mark.parametrize("said", [True, False], ids=["with client_ip", "without"])
def test_no_header_says_where_a_person_is(real_world: World, said: bool) -> None:
    """T55: another forged address with each request, behind none, one and two proxies: client_ip alone counts."""
    real_world.with_rules(limits=Limits(recipient=(), failures=(), client_ip=(Window(3, 3600),)))
    key, chance = new_key(), random.Random(7)
    http = create_app(Service(real_world.verifier, ClientKeys([(SHOP, [key.hash])]), lambda: False, "1")).test_client()
    statuses = []
    for n, (name, forge) in enumerate(FORGED.items()):
        body = {"to": f"138001380{n:02d}", "purpose": "login", **({"client_ip": "198.51.100.7"} if said else {})}
        forged = {name.partition(" ")[0]: forge(some_address(chance), some_address(chance))}
        headers = {"Authorization": f"Bearer {key.text}", **forged}
        answer = http.post(
            "/v1/verifications", json=body, headers=headers, environ_overrides={"REMOTE_ADDR": some_address(chance)}
        )
        statuses.append((answer.status_code, (answer.json or {}).get("limit")))
    if said:
        assert statuses == [(201, None)] * 3 + [(429, "client_ip")] * 4
    else:
        assert statuses == [(201, None)] * 7
        assert not real_world.server.client.keys("otp:ip:*")


# --- T58: XML made to hurt --------------------------------------------------------------------------------------------

_LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
_OK = "<returnstatus>Success</returnstatus><taskID>1</taskID>"


def hostile_xml(elsewhere: str = "127.0.0.1:1") -> dict[str, bytes]:
    """`elsewhere` is where nobody should ask for anything."""

    def declares(what: str, message: str = "") -> bytes:
        return f"<!DOCTYPE a [{what}]><returnsms>{_OK}<message>{message}</message></returnsms>".encode()

    include = '<i:include href="file:///etc/hostname" xmlns:i="http://www.w3.org/2001/XInclude"/>'
    return {
        "billion laughs": declares(f'<!ENTITY l0 "ha">{_LAUGHS}', "&l9;"),
        "quadratic": declares(f'<!ENTITY l "{"x" * 30_000}">', "&l;" * 9000),
        "a file": declares('<!ENTITY f SYSTEM "file:///etc/hostname">', "&f;"),
        "an address": declares(f'<!ENTITY f SYSTEM "http://{elsewhere}/">', "&f;"),
        "parameter entities": declares(f'<!ENTITY % p SYSTEM "http://{elsewhere}/">%p;'),
        "a DTD": f'<!DOCTYPE a SYSTEM "http://{elsewhere}/a.dtd"><returnsms>{_OK}</returnsms>'.encode(),
        "XInclude": f"<returnsms>{include}</returnsms>".encode(),
        "depth": b"<a>" * 20_000,
        "a wrong encoding": f"<?xml version='1.0'?><returnsms>{_OK}</returnsms>".encode("utf-16"),
        "too long": f"<returnsms>{_OK}".encode() + b" " * 70_000 + b"</returnsms>",
    }


ASPX = """
protocol = "sms_aspx"
url = "http://gateway.example"
account = "me"
password = "pa55word-of-ours"
signature = "今信科技"
"""


@pytest.mark.parametrize("name", hostile_xml())
def test_xml_made_to_hurt_is_unknown_and_leads_nowhere(name: str) -> None:
    """T58: as an answer, and as a list of reports."""
    with RawGateway(says(http_answer())) as elsewhere:
        body = hostile_xml(elsewhere.host)[name]
        result = read_answer(200, body[: 64 * 1024 + 1], MESSAGE.to)
        with suppress(UnreadableError):
            assert read_rows(body, STATUSES) == []
    assert result.outcome is Outcome.UNKNOWN
    assert Path("/etc/hostname").read_text().strip() not in result.detail
    assert elsewhere.connections == 0


ENDLESS = [b"<statusbox>", b"<a><callbox>", b"<statusbox></callbox>", b"<statusbox><mobile>", b"<", b"{", b"["]


@pytest.mark.parametrize("again", ENDLESS)
@pytest.mark.parametrize("head", [b"<returnsms>", b'{"statusbox": ['])
def test_a_list_that_is_all_beginnings_is_read_once(head: bytes, again: bytes) -> None:
    """T58: rows that never end. Read once for each of them, two megabytes would keep a worker for half an hour."""
    body = head + again * (MAX_LIST // 8 // len(again))
    with suppress(UnreadableError):
        assert not [row for row in read_rows(body, STATUSES) if row.get("mobile")]


# --- T59: 200, and yet no success -------------------------------------------------------------------------------------

NO_SUCCESS: dict[str, Any] = {
    "HTML": "<html><body>OK success 0</body></html>",
    "nothing": "",
    "blanks": " \r\n",
    "half a document": '{"sid": "SM0123456789abcdef0123456789abcdef", "status": "que',
    "an error": {"error": {"code": 500, "message": "try later"}},
    "a list": [],
    "true": True,
    "null": None,
}


@pytest.mark.parametrize("vendor", BUILD)
@pytest.mark.parametrize("name", NO_SUCCESS)
def test_a_200_that_says_something_else_is_no_success(vendor: str, name: str) -> None:
    """T59."""
    said = NO_SUCCESS[name]
    body = (said if isinstance(said, str) else json.dumps(said)).encode()
    with RawGateway(says(http_answer(200, body))) as gateway:
        assert deliver(BUILD[vendor](f"http://{gateway.host}")).outcome is Outcome.UNKNOWN


OF_A_NUMBER: dict[str, Callable[[str], Any]] = {
    "twilio": lambda to: {"sid": "SM0123456789abcdef0123456789abcdef", "status": "queued", "to": f"+{to}"},
    "tencent": lambda to: {"Response": {"SendStatusSet": [{"SerialNo": "1", "PhoneNumber": f"+{to}", "Code": "Ok"}]}},
    "vonage": lambda to: {"messages": [{"to": to, "message-id": "0C", "status": "0"}]},
}


@pytest.mark.parametrize("vendor", OF_A_NUMBER)
@pytest.mark.parametrize(
    ("named", "outcome"),
    [("8613800138000", "accepted"), ("86 138-0013-8000", "accepted"), ("13800138000", "accepted"),
     ("86138****8000", "accepted"), ("8613900139000", "unknown"), ("447700900123", "unknown")],
)  # fmt: skip
def test_an_answer_that_is_about_another_number_is_no_success(vendor: str, named: str, outcome: str) -> None:
    """T59: somebody else's answer, by a proxy or a gateway that mixes them up; each vendor's spelling is ours."""
    body = json.dumps(OF_A_NUMBER[vendor](named)).encode()
    with RawGateway(says(http_answer(200, body))) as gateway:
        result = deliver(BUILD[vendor](f"http://{gateway.host}"))
    assert (result.outcome, bool(result.gateway_id)) == (outcome, outcome == "accepted")


# --- T58, T60: what all of these cost ---------------------------------------------------------------------------------

_MEMORY = """
import asyncio, re, sys
from contextlib import suppress
from pathlib import Path
from tests.channel_tables import build, MESSAGE
from tests.attacks.test_network import ASPX
from otp_service.ports import Message

def peak():
    return int(re.findall(r"VmHWM:\\s+([0-9]+)", Path("/proc/self/status").read_text())[0])

async def run():
    channel = build(ASPX, url=f"http://{sys.argv[1]}", deadline=30, answer_within=29)
    message = Message("+8613800138000", MESSAGE.text)
    before = 0
    for n in range(int(sys.argv[2])):
        result = await channel.deliver(message)
        before = before or peak()
        assert n == 0 or str(result.outcome) == "unknown", result
    print(peak() - before)
    await channel.aclose()

asyncio.run(run())
"""


def endless(head: bytes, again: bytes) -> Play:
    def play(line: socket.socket) -> None:
        line.sendall(b"HTTP/1.1 200 OK\r\n" + head)
        for _ in itertools.count():
            line.sendall(again)

    return play


def costly() -> list[Play]:
    """First one that costs nothing: what the channel loads, it loads for that."""
    bomb = gzip.compress(b"<a>" * 35_000_000)
    plays = [says(http_answer(200, b"<returnsms/>"))]
    plays += [says(http_answer(200, body)) for body in hostile_xml().values()]
    plays += [
        says(http_answer(200, bomb, {"Content-Encoding": "gzip"})),
        endless(b"Transfer-Encoding: chunked\r\n\r\n", b"400\r\n" + b"x" * 1024 + b"\r\n"),
        endless(b"Content-Length: 104857600\r\n\r\n", b"<returnsms>" * 1000),
        endless(b"\r\n", b"<returnsms>" * 1000),
        endless(b"X: ", b"y" * 10_000),
    ]
    return plays


@pytest.mark.slow
def test_no_answer_costs_more_than_twenty_megabytes() -> None:
    """T58, T60: hostile XML, a gzip bomb of 105 MB, bodies and heads without an end: RSS grows by less than 20 MB."""
    plays = iter(costly())
    with RawGateway(lambda line: next(plays)(line)) as gateway:
        grown = subprocess.run(
            [sys.executable, "-c", _MEMORY, gateway.host, str(len(costly()))],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
    assert int(grown.stdout) < 20 * 1024, f"{grown.stdout} KiB"


# --- T62 --------------------------------------------------------------------------------------------------------------


def test_a_certificate_that_has_expired_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    """T62: trusted, and of the right name; the control is `test_a_certificate_that_is_trusted_and_fits_is_taken`."""
    certificate = Certificate(tmp_path, LOOPBACK, days_left=-1)
    with RawGateway(says(http_answer()), tls=certificate.server) as gateway, pytest.raises(NotSent):
        post(f"https://{gateway.host}/", tls=certificate.trusting_client)
    assert gateway.requests == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize(
    "target", ["http://{inner}/", "http://169.254.169.254/latest/meta-data/", "//{inner}/", "/again"]
)
def test_a_channel_follows_no_redirect_and_takes_none_for_a_success(status: int, target: str) -> None:
    """T62: not to another host, not from https down to http, not to a cloud's metadata, not to itself."""
    with RawGateway(says(http_answer(200, b"<returnsms><returnstatus>Success</returnstatus></returnsms>"))) as inner:
        moved = http_answer(status, headers={"Location": target.format(inner=inner.host)})
        with RawGateway(says(moved)) as gateway:
            table = {"url": f"http://{gateway.host}/sms.aspx"}
            result = deliver_by_table(ASPX, MESSAGE, **table)
        assert len(gateway.requests) == 1
    assert inner.connections == 0
    assert result.outcome is not Outcome.ACCEPTED


def test_a_certificate_of_the_tests_is_what_it_says(tmp_path: Path) -> None:
    """The control of the expired one: with a day left it is taken."""
    certificate = Certificate(tmp_path, x509.DNSName("localhost"))
    with RawGateway(says(http_answer(body=b"yes")), tls=certificate.server) as gateway:
        port = gateway.host.rpartition(":")[2]
        assert post(f"https://localhost:{port}/", tls=certificate.trusting_client)[0].body == b"yes"
