"""Invariant 5 on an installation of real processes: every call of the API is made, and nothing of it is found."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.attacks import thief
from tests.attacks.whole_run import Run, installation, make_every_call

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("whole run")]

GIVEN_BACK = ("token", "payload of the token", "order")
"""What an answer owes its caller: the proof, and his own metadata."""


def test_every_call_leaves_no_secret_in_redis_its_files_its_wire_our_logs_or_an_answer(tmp_path: Path) -> None:
    """T37, T39, T40, T42: API and worker say all they can, asyncio's debugging included, and no library is quiet."""
    heard = bytearray()
    with installation(tmp_path) as run:
        with thief.watched(run.redis_url, heard):
            make_every_call(run)
        places = {
            "Redis": thief.contents(run.redis),
            "the disk": thief.files(run.redis),
            "MONITOR": bytes(heard),
            "the slow log": str(run.redis.slowlog_get(-1)).encode(),
            "Redis's list of clients": str(run.redis.client_list()).encode(),
        }
        cores = {name: run.core_limits(name) for name in ("serve", "worker")}
        asked = list(run.receiver.requests)
    places |= {f"the log of {name}": (tmp_path / f"{name}.log").read_bytes() for name in ("serve", "worker")}
    assert cores == {"serve": {"0"}, "worker": {"0"}}
    for place, text in places.items():
        assert len(text) > 1000, f"{place} was not read"
        thief.assert_silent(place, text, run.secrets)
    answered(run)
    told = b"".join(asked)
    people = {n: s for n, s in run.secrets.items() if n != "token of the webhook"}
    thief.assert_silent("what webhooks are told", told, people)
    logs = places["the log of serve"] + places["the log of worker"]
    assert all(word in logs for word in (b'"event": "request"', b'"event": "delivery"', b"asyncio DEBUG"))


def answered(run: Run) -> None:
    """No answer repeats what it was given, whatever it was asked and wherever."""
    assert len(run.answers) > 300
    assert not [answer for answer in run.answers if answer.status_code >= 500]
    for answer in run.answers:
        thief.assert_silent(f"the answer to {place_of(answer)}", whole(answer), without_proof(run, answer))


def without_proof(run: Run, answer: httpx.Response) -> dict[str, str]:
    proves = b'"token":' in answer.content or b'"metadata":' in answer.content
    return {n: s for n, s in run.secrets.items() if not (proves and n in GIVEN_BACK)}


def whole(answer: httpx.Response) -> bytes:
    return str(answer.headers).encode() + answer.content


def place_of(answer: httpx.Response) -> str:
    return f"{answer.status_code} {answer.text[:200]}"
