"""T37 and T38 at their full size: a hundred thousand codes looked for, and a thousand records searched through."""

from __future__ import annotations

import asyncio
import hashlib
import multiprocessing
import re
from collections.abc import Iterable, Iterator
from functools import cache
from operator import itemgetter, methodcaller

import pytest
import redis
from structlog.testing import capture_logs

from otp_service.errors import Unavailable
from otp_service.keyring import PARTITIONS
from tests.attacks.thief import contents, files, watched, write_down_everything
from tests.world import KEYS, UNLIMITED, Server, World, fields_of

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("at rest")]

CODES, BATCH = 100_000, 5_000
RECORDS = 1_000

_RUN = re.compile(rb"(?<![0-9])[0-9]{10,13}(?![0-9])")
_HEX = re.compile(rb"(?<![0-9a-fA-F])(?:3[0-9]){10,14}(?![0-9a-fA-F])")


def runs(text: bytes) -> set[bytes]:
    """Runs of digits as long as a code or a number, also where they are written in hexadecimal."""
    return {*_RUN.findall(text), *(bytes.fromhex(found.decode()) for found in _HEX.findall(text))}


@pytest.fixture
def patient(real_server: Server) -> Iterator[Server]:
    """A client that waits: what writes down all that it can is slow at times."""
    client = redis.Redis.from_url(real_server.url, socket_timeout=120)
    yield Server(client, real_server.make_async, real_server.url)
    client.close()


@pytest.fixture
def recording(patient: Server) -> Iterator[redis.Redis]:
    client = patient.client
    write_down_everything(client)
    client.config_set("appendfsync", "no")  # what is written is the same, and another process reads it
    client.config_set("slowlog-log-slower-than", -1)
    yield client
    client.config_set("appendonly", "no")
    client.config_set("slowlog-log-slower-than", 10_000)
    client.config_set("rdbcompression", "yes")


def started(world: World, number: str) -> str:
    """The id; "" where a busy machine kept the answer waiting for too long."""
    try:
        return world.start(number, session=number).verification.id
    except Unavailable:
        return ""


def deliver(world: World, ids: list[str]) -> None:
    """All of them; one entry in a thousand is left by its workers too often, and one can't be read."""
    raw = world.server.client

    async def is_done() -> None:
        while any(raw.xlen(KEYS.outbox(p)) for p in range(PARTITIONS)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    async def work() -> None:
        worker, outbox = world.worker()
        await outbox.open()
        for id in ids[::1000]:
            parsed = world.keyring.parse_id(id)
            assert parsed
            key = KEYS.outbox(parsed.partition)
            read = raw.xreadgroup("workers", "w1", {key: ">"}, count=1)
            if read:
                raw.xclaim(key, "workers", "w1", 0, [read[0][1][0][0]], retrycount=100)
            raw.xadd(key, {"id": id, "send": "none", "at": "never"})
        await outbox.reclaim(0, 100)
        running = asyncio.create_task(worker.run())
        await is_done()
        worker.stop()
        await running
        await outbox.aclose()

    asyncio.run(work())


def test_none_of_a_hundred_thousand_codes_or_numbers_lies_anywhere(recording: redis.Redis, patient: Server) -> None:
    """T37: in snapshots, append-only files, MONITOR, streams, dead letters, and every key and value."""
    world = World(patient, UNLIMITED, code_length=10)
    codes: set[bytes] = set()
    numbers: set[bytes] = set()
    found: set[bytes] = set()
    for first in range(0, CODES, BATCH):
        national = [f"138{n:08d}" for n in range(first, first + BATCH)]
        numbers |= {spelt.encode() for number in national for spelt in (number, f"86{number}")}
        heard = bytearray()
        with watched(patient.url, heard):
            ids = [id for number in national if (id := started(world, number))]
            with capture_logs():
                deliver(world, ids)
        codes |= {world.code_of(id).encode() for id in ids}
        assert len(heard) > BATCH * 500
        found |= runs(bytes(heard))
    assert len(codes) > CODES * 0.99
    assert sum(recording.xlen(key) for key in recording.keys("*:dead")) > CODES // BATCH
    found |= runs(contents(recording)) | runs(files(recording))
    print(f"T37: {len(codes):,} codes looked for among {len(found):,} runs of digits")
    assert not found & codes
    assert not found & numbers


# --- T38 --------------------------------------------------------------------------------------------------------------


@cache
def all_codes() -> list[bytes]:
    """Made where they are needed, once a process."""
    return [f"{n:06d}".encode() for n in range(10**6)]


_LENGTH = 16
"""Bytes of a digest that are compared: nobody keeps fewer of one that is to be compared with."""
_CUT = itemgetter(slice(_LENGTH))


def hits(salt: bytes, wanted: Iterable[bytes]) -> list[bytes]:
    """What of `wanted` is SHA-256 of salt and a code, of all codes that there are. All of it runs in C."""
    digests = map(methodcaller("digest"), map(hashlib.sha256, map(salt.__add__, all_codes())))
    return list(filter(frozenset(wanted).__contains__, map(_CUT, digests)))


def searched(job: tuple[bytes, list[bytes], bytes]) -> tuple[int, int]:
    """How many codes of one record are found in its dump, and how many in what others would have kept."""
    salt, values, salted = job
    windows = {value[at : at + _LENGTH] for value in values for at in range(max(len(value) - _LENGTH, 0) + 1)}
    found = hits(salt, {*windows, salted})
    return sum(one in windows for one in found), sum(one == salted for one in found)


def test_a_full_dump_without_the_keys_yields_no_code_where_salted_hashes_yield_all(real_server: Server) -> None:
    """T38: all 10^6 codes against each of 1,000 records; the control is SHA-256 of the salt beside it and the code."""
    world = World(real_server, UNLIMITED)
    jobs = []
    for n in range(RECORDS):
        id = world.start(f"138{n:08d}").verification.id
        [key] = [KEYS.record(parsed.partition, id) for parsed in [world.keyring.parse_id(id)] if parsed]
        record = fields_of(world.server.client, key)
        salted = hashlib.sha256(record["seed"] + world.code_of(id).encode()).digest()[:_LENGTH]
        jobs.append((record["seed"], list(record.values()), salted))
    with multiprocessing.get_context("spawn").Pool() as pool:
        counted = list(pool.imap_unordered(searched, jobs))
    print(f"T38: {RECORDS:,} records, {10**6:,} codes tried against each")
    assert (sum(own for own, _ in counted), sum(control for _, control in counted)) == (0, RECORDS)
