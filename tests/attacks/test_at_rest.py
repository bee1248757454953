"""What a thief finds: in a full dump, in the files, on the wire and in the logs there is no code, number or secret."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import itertools
import logging
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from structlog.testing import capture_logs

from otp_service.api_keys import ClientKeys, new_key
from otp_service.channels import SmsAspxChannel, SmsAspxSettings
from otp_service.errors import CodeMismatch
from otp_service.policy import Limits, Window
from otp_service.ports import Outcome, Reason, TryResult
from otp_service.verifier import Idempotency, ResendRequest
from otp_service.web.app import create_app
from otp_service.web.service import Service
from tests.attacks.thief import assert_silent, contents, files, watched, write_down_everything
from tests.raw_gateway import RawGateway, http_answer, says
from tests.world import NUMBER, SHOP, Server, World, fields_of

NATIONAL = NUMBER.removeprefix("+86")
SESSION = "session-of-the-person"
ADDRESS = "198.51.100.77"
AMOUNT = "987654.32 EUR"
ORDER = "order of the person"
DEVICE = "device-of-the-person"
IDEMPOTENCY_KEY = "idempotency-key-of-the-caller"
PASSWORD = "gateway-password-7f3a"
ACCOUNT = "gateway-account-91bc"


@pytest.fixture
def recording(real_server: Server) -> Iterator[redis.Redis]:
    """The server writes down all that it can: append-only file, slow log, snapshots without compression."""
    client = real_server.client
    write_down_everything(client)
    yield client
    client.config_set("appendonly", "no")
    client.config_set("slowlog-log-slower-than", 10_000)
    client.config_set("rdbcompression", "yes")


# --- a whole flow -----------------------------------------------------------------------------------------------------


class Caller:
    """The API as a client meets it, with everything that a person and a caller could give."""

    def __init__(self, world: World) -> None:
        key = new_key()
        self.key = key.text
        self.http = create_app(
            Service(world.verifier, ClientKeys([(SHOP, [key.hash])]), lambda: False, "1")
        ).test_client()

    def post(self, path: str, body: dict[str, Any], status: int) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.key}", "Idempotency-Key": f"{IDEMPOTENCY_KEY}-{path}"}
        answer = self.http.post(path, json=body, headers=headers)
        assert answer.status_code == status, answer.json
        return dict(answer.json)


def send_really(world: World) -> list[bytes]:
    """By a real channel: its password leaves for the gateway, whose words hold the number."""
    said = f"<returnstatus>Success</returnstatus><message>ok {NATIONAL}</message><taskID>93390617</taskID>"
    with RawGateway(says(http_answer(body=f"<returnsms>{said}</returnsms>".encode()))) as gateway:

        async def work() -> None:
            channel = SmsAspxChannel(
                SmsAspxSettings(
                    name="primary", url=f"http://{gateway.host}", userid="12", account=ACCOUNT, password=PASSWORD
                )
            )
            world.gateways = [channel]  # type: ignore[list-item]
            worker, outbox = world.worker()
            running = asyncio.create_task(worker.run())
            assert await asyncio.to_thread(gateway.asked.wait, 10)
            worker.stop()
            await running
            await channel.aclose()
            await outbox.aclose()

        asyncio.run(work())
        return list(gateway.requests)


def live(world: World) -> dict[str, str]:
    """Start, send, guess wrong, resend, approve, use the token up; what must be found nowhere."""
    caller = Caller(world)
    facts = {"session": SESSION, "context": {"amount": AMOUNT}, "device": DEVICE}
    asked = {"to": NUMBER, "purpose": "login", **facts, "client_ip": ADDRESS, "metadata": {"order": ORDER}}
    id = caller.post("/v1/verifications", asked, 201)["id"]
    code = world.code_of(id)
    requests = send_really(world)
    assert any(code.encode() in request and PASSWORD.encode() in request for request in requests)
    wrong = world.wrong_code(id)
    caller.post("/v1/verifications/check", {"to": NUMBER, "purpose": "login", **facts, "code": wrong}, 422)
    world.move_clock(61)
    caller.post(f"/v1/verifications/{id}/resend", {}, 200)
    token = caller.post(f"/v1/verifications/{id}/check", {**facts, "code": code}, 200)["token"]
    asked = {"to": NUMBER, "purpose": "login", "session": SESSION, "context": {"amount": AMOUNT}, "token": token}
    assert caller.post("/v1/tokens/verify", {**asked, "consume": True}, 200)["metadata"] == {"order": ORDER}
    return {
        "number": NUMBER,
        "national number": NATIONAL,
        "number without +": NUMBER[1:],
        "code": code,
        "wrong code": wrong,
        "session": SESSION,
        "address": ADDRESS,
        "packed address": socket.inet_aton(ADDRESS).decode("latin-1"),
        "context": AMOUNT,
        "metadata": ORDER,
        "device": DEVICE,
        "idempotency key": IDEMPOTENCY_KEY,
        "API key": caller.key,
        "secret of the API key": caller.key[12:-6],
        "token": token,
        "payload of the token": token.split(".")[1],
        "gateway's password": PASSWORD,
        "gateway's account": ACCOUNT,
    }


@pytest.fixture
def long_codes(real_server: Server) -> World:
    """Ten digits are found by chance nowhere, not even among the digits of a clock."""
    return World(real_server, Limits(client_ip=(Window(100, 3600),)), code_length=10)


def test_a_whole_flow_leaves_no_secret_in_redis_its_files_its_wire_or_our_logs(
    recording: redis.Redis, long_codes: World, caplog: pytest.LogCaptureFixture
) -> None:
    """T37, T39, T40."""
    caplog.set_level(logging.DEBUG)
    heard = bytearray()
    with watched(long_codes.server.url, heard), capture_logs() as events:
        secrets = live(long_codes)
    assert b"evalsha" in heard.lower()
    assert caplog.records
    assert events
    on_disk = files(recording)
    assert b"REDIS" in on_disk or b"VALKEY" in on_disk
    assert_silent("Redis", contents(recording), secrets)
    assert_silent("the disk", on_disk, secrets)
    assert_silent("MONITOR", bytes(heard), secrets)
    assert_silent("the slow log", str(recording.slowlog_get(-1)).encode(), secrets)
    assert_silent("the log", caplog.text.encode(), secrets)
    assert_silent("our events", str(events).encode(), secrets)


def test_the_search_itself_finds_what_is_there(recording: redis.Redis, long_codes: World) -> None:
    """The control: a secret in any of these places is found."""
    heard = bytearray()
    with watched(long_codes.server.url, heard):
        recording.hset("a", "b", NUMBER)
        recording.xadd("s", {"f": base64.b64encode(NUMBER.encode())})
    for place in (contents(recording), files(recording), bytes(heard), str(recording.slowlog_get(-1)).encode()):
        with pytest.raises(AssertionError, match="holds the number"):
            assert_silent("place", place, {"number": NUMBER})


def test_what_a_gateway_says_of_the_number_or_the_code_is_masked_before_it_is_kept(world: World) -> None:
    """Whatever protocol an adapter speaks: the store itself masks runs of digits and cuts long words."""
    id = world.start().verification.id
    code = world.code_of(id)
    words = f"refused {NATIONAL}: code {code} (err 102) " + "x" * 500
    world.gateways[0].answers = [TryResult(Outcome.REJECTED, Reason.CONTENT, words)]
    world.deliver()
    [first, _] = world.get(id).tries
    assert "err 102" in first.detail
    assert len(first.detail) <= 200
    assert code not in first.detail
    assert_silent("Redis", contents(world.server.client), {"number": NATIONAL, "code": f" {code} "})


# --- without the keys -------------------------------------------------------------------------------------------------


def record_of(world: World, id: str) -> dict[str, bytes]:
    [key] = world.server.client.keys(f"*:v:{id}")
    return fields_of(world.server.client, key)


HASHES = (hashlib.md5, hashlib.sha1, hashlib.sha256, hashlib.sha512, hashlib.blake2b)


def unkeyed(code: str, record: dict[str, bytes], id: str) -> Iterator[bytes]:
    """What systems are known to keep: hashes of a code, alone or salted with anything that lies beside it."""
    salts = [b"", id.encode(), NUMBER.encode(), b"shop", b"login", *record.values()]
    for one, other in itertools.product(salts, salts[:5]):
        for text in (one + code.encode() + other, one + b":" + code.encode() + b":" + other):
            for hash in HASHES:
                yield hash(text).digest()
    for salt in salts[1:]:
        for hash in (hashlib.sha1, hashlib.sha256):
            yield hmac.digest(salt or b"\0", code.encode(), hash)


def test_no_field_of_a_record_is_an_unkeyed_hash_of_its_code(world: World) -> None:
    """T38, small: only the true code is tried, in every construction; that is as good as trying them all."""
    id = world.start(session=SESSION).verification.id
    record = record_of(world, id)
    values = b" ".join(record.values())
    for digest in unkeyed(world.code_of(id), record, id):
        assert digest[:16] not in values
        assert digest.hex().encode()[:32] not in values


@pytest.mark.parametrize("end", ["approved", "exhausted", "canceled", "expired"])
@pytest.mark.parametrize("resend", ["reuse", "rotate"])
def test_after_the_end_nothing_is_left_that_yields_the_code_even_with_the_keys(
    server: Server, end: str, resend: str
) -> None:
    """Invariant 5: seed, digests, binding and number are gone from every key, kept answers included."""

    world = World(server, resend=resend)
    id = world.start(idempotency=Idempotency("k", "/", b"")).verification.id
    world.move_clock(61)
    world.verifier.resend(SHOP, id, ResendRequest())
    before = record_of(world, id)
    names = {"seed", "to", "d0"} | ({"binding", "d1"} if resend == "rotate" else set())
    assert names <= before.keys()
    code, wrong = world.code_of(id), f"{(int(world.code_of(id)) + 1) % 10**6:06d}"
    if end == "approved":
        world.check(id, code, idempotency=Idempotency("c", "/", b""))
    elif end == "canceled":
        world.verifier.cancel(SHOP, id)
    elif end == "expired":
        world.move_clock(300)
        assert world.get(id).status == "expired"
    else:
        for _ in range(5):
            with pytest.raises(CodeMismatch):
                world.check(id, wrong)
    left = contents(server.client)
    for name in names:
        assert before[name] not in left, name
    assert not names & record_of(world, id).keys()
    assert world.get(id).to == "+86138****8000"
