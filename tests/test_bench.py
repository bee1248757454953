"""What the scripts of bench/ stand on: how a peer is told of, how answers are read, how pictures are drawn."""

from __future__ import annotations

import importlib
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest

BENCH = Path(__file__).parents[1] / "bench"


@pytest.fixture(scope="module")
def bench() -> Iterator[dict[str, ModuleType]]:
    """Its modules, by name."""
    sys.path.insert(0, str(BENCH))
    try:
        yield {name: importlib.import_module(name) for name in ("_peer", "_load", "_plot")}
    finally:
        sys.path.remove(str(BENCH))


@pytest.fixture
def told() -> dict[str, Any]:
    """The example, as it is read."""
    return tomllib.loads((BENCH / "peer.example.toml").read_text("utf-8"))


def test_the_example_of_a_peer_makes_its_calls(bench: dict[str, ModuleType]) -> None:
    peer = bench["_peer"].read(BENCH / "peer.example.toml")
    (words,) = peer.sends(["8613800000000"])
    sent = peer.send.filled(words, peer.headers).decode()
    assert sent.startswith(f"PUT /api/otp/{words['id']} HTTP/1.1\r\n")
    assert sent.endswith(f"provider=bench&to=8613800000000&otp={words['code']}")
    assert "Authorization: Basic " in sent
    asked = peer.check.filled(peer.told(words, b"{}"), peer.headers).decode()
    assert asked.startswith(f"POST /api/otp/{words['id']} HTTP/1.1\r\n")
    assert asked.endswith(f"action=check&otp={words['code']}")


def test_a_peer_may_choose_id_and_code(bench: dict[str, ModuleType], told: dict[str, Any]) -> None:
    told["send"] |= {"path": "/start", "body": '{"to": "+{number}"}', "id": "data.id", "code": "data.code"}
    peer = bench["_peer"].parse(told)
    (words,) = peer.sends(["8613800000000"])
    assert peer.send.filled(words, {}).endswith(b'{"to": "+8613800000000"}')
    found = peer.told(words, b'{"data": {"id": 7, "code": "012345"}}')
    assert (found["id"], found["code"]) == ("7", "012345")


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b'{"data": null}', b'{"data": {"id": ""}}'])
def test_an_answer_without_its_id_is_told(bench: dict[str, ModuleType], told: dict[str, Any], answer: bytes) -> None:
    told["send"]["id"] = "data.id"
    peer = bench["_peer"].parse(told)
    with pytest.raises(bench["_peer"].PeerError, match=r'\[send\] id = "data\.id", but the answer'):
        peer.told(peer.sends(["1"])[0], answer)


FAULTS = [
    ({"name": ""}, "name: write text in quotes"),
    ({"url": "https://127.0.0.1:1"}, "url: write"),
    ({"url": "http://elsewhere.example:80"}, "url: write"),
    ({"pids": [True]}, "pids: write"),
    ({"headers": {"X": 1}}, r"\[headers\]: write"),
    ({"speed": 1}, "speed: not known"),
    ({"check": None}, r"\[check\] is missing"),
    ({"send": {"path": "/s", "body": "{code}"}}, r"\[send\]: write {id}"),
    ({"send": {"path": "/s/{id}"}}, r"\[send\]: write {code}"),
    ({"send": {"path": "/s/{id}", "code": "a..b"}}, r"\[send\] code: write where"),
    ({"check": {"path": "/c/{id}"}}, r"\[check\]: neither path nor body has {code}"),
    ({"check": {"path": "/c/{id}", "body": "{code}", "id": "x"}}, r"\[check\] id: not known"),
    ({"check": {"path": "c", "body": "{id}{code}"}}, r"\[check\] path: write"),
]


@pytest.mark.parametrize(("change", "said"), FAULTS, ids=[said for _, said in FAULTS])
def test_a_fault_of_a_description_names_its_key(
    bench: dict[str, ModuleType], told: dict[str, Any], change: dict[str, Any], said: str
) -> None:
    with pytest.raises(bench["_peer"].PeerError, match=f"^{said}"):
        bench["_peer"].parse(told | change)


def test_a_file_that_is_no_toml_is_named(bench: dict[str, ModuleType], tmp_path: Path) -> None:
    (tmp_path / "peer.toml").write_text("name =", "utf-8")
    for name in ("peer.toml", "missing.toml"):
        with pytest.raises(bench["_peer"].PeerError, match=f"^{name}: "):
            bench["_peer"].read(tmp_path / name)


def test_an_answer_is_whole_when_its_length_has_come(bench: dict[str, ModuleType]) -> None:
    answer = b"HTTP/1.1 201 Created\r\ncontent-length: 5\r\n\r\nhello"
    whole = bench["_load"].http_body
    assert all(whole(answer[:end]) is None for end in range(len(answer)))
    assert whole(answer) == b"hello"
    with pytest.raises(bench["_load"].Refused, match="404"):
        whole(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")


def test_a_reply_of_redis_is_whole_with_its_last_part(bench: dict[str, ModuleType]) -> None:
    reply = b"*2\r\n$8\r\napproved\r\n:1\r\n"
    whole = bench["_load"].redis_reply
    assert all(whole(reply[:end]) is None for end in range(len(reply)))
    assert whole(reply) == reply
    with pytest.raises(bench["_load"].Refused, match="NOSCRIPT"):
        whole(b"-NOSCRIPT no\r\n")


def test_bars_are_a_picture_with_a_bar_for_each_figure(bench: dict[str, ModuleType]) -> None:
    bars = [("ours <&>", 12_000.0, "#123"), ("not here", 0.0, "#456")]
    picture = ElementTree.fromstring(bench["_plot"].bars("a & b", {"requests/s": bars, "CPU µs": bars}))
    space = "{http://www.w3.org/2000/svg}"
    assert len(picture.findall(f"{space}rect")) == 2
    assert [text.text for text in picture.findall(f"{space}text")].count("12,000") == 2
    assert "ours <&>" in {text.text for text in picture.findall(f"{space}text")}
