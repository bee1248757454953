"""The scripts of bench/: how a peer is told of, how answers are read, what is told of figures; and that they run."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest

BENCH = Path(__file__).parents[1] / "bench"
DOCS = BENCH.parent / "docs"


@pytest.fixture(scope="module")
def bench() -> Iterator[dict[str, ModuleType]]:
    """Its modules, by name."""
    sys.path.insert(0, str(BENCH))
    try:
        names = ("_peer", "_load", "_plot", "_capacity", "_report", "_servers", "_subjects", "comparison")
        yield {name: importlib.import_module(name) for name in names}
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


# --- what is told of figures ------------------------------------------------------------------------------------------


def _rounds(bench: dict[str, ModuleType], *rates: tuple[float, float]) -> list[Any]:
    """Our check and the Go stand-in's, by requests a second; each request costs what is left of the second."""
    row, figures = bench["_subjects"].Row, bench["_subjects"].Figures
    ours, other = row("ours: check", "check"), row("Go stand-in: check", "check")
    return [{ours: figures(one, 1 / one), other: figures(two, 1 / two)} for one, two in rates]


def test_a_ratio_is_taken_within_a_round(bench: dict[str, ModuleType]) -> None:
    """The machine was twice as fast in the second: no ratio shows it."""
    rounds = _rounds(bench, (3000, 1000), (6000, 2000), (1000, 1000))
    base = bench["comparison"].bases(list(rounds[0]), [])
    lines = bench["comparison"].table(rounds, base).splitlines()
    assert lines[2].startswith("| ours: check | 3,000 | – |")
    assert lines[2].endswith("| 3.00 | 0.33 |")
    assert lines[3].endswith("| 1.00 | 1.00 |")


def test_a_goal_says_whether_it_is_met(bench: dict[str, ModuleType]) -> None:
    for rates, met in (((3000, 1000), "met"), ((999, 1000), "**not met**")):
        rounds = _rounds(bench, rates)
        goals = bench["comparison"].goals(rounds, bench["comparison"].bases(list(rounds[0]), []))
        assert [line.split(" | ")[-1] for line in goals.splitlines()[2:]] == [f"{met} |"] * 2


def test_a_round_in_which_a_row_was_not_measured_is_no_part_of_its_median(bench: dict[str, ModuleType]) -> None:
    rounds = _rounds(bench, (3000, 1000), (5000, 1000))
    (ours, _) = rounds[0]
    rounds.append({**rounds[0], ours: bench["_subjects"].NOT_MEASURED})
    base = bench["comparison"].bases(list(rounds[0]), [])
    assert bench["comparison"].table(rounds, base).splitlines()[2].startswith("| ours: check | 4,000 |")
    assert "4.00 (3.00 to 5.00)" in bench["comparison"].goals(rounds, base)
    assert bench["comparison"].figures(rounds)["ours: check"]["rate"] == 4000


def test_with_nobody_to_be_held_against_there_is_no_ratio(bench: dict[str, ModuleType]) -> None:
    rounds = _rounds(bench, (3000, 1000))
    assert "÷" not in bench["comparison"].table(rounds, {})
    assert len(bench["comparison"].goals(rounds, {}).splitlines()) == 2


def test_the_first_peer_takes_the_place_of_the_stand_in(bench: dict[str, ModuleType], told: dict[str, Any]) -> None:
    peer, row = bench["_peer"].parse(told | {"name": "theirs"}), bench["_subjects"].Row
    rows = [row("Go stand-in: check", "check"), row("theirs: send", "start"), row("theirs: check", "check")]
    assert bench["comparison"].bases(rows, [peer]) == {"start": rows[1], "check": rows[2]}
    assert bench["comparison"].bases(rows, []) == {"check": rows[0]}


def test_without_its_programs_a_row_is_left_out(bench: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench["_servers"].shutil, "which", lambda name: None)
    place = bench["_subjects"].Place(ExitStack(), lambda url: None, "redis://127.0.0.1:1", "redis://127.0.0.1:1", 1)
    monkeypatch.setitem(bench["_subjects"].SUBJECTS, "go", lambda _: bench["_servers"].go_service("", 1).__enter__())
    found = dict(bench["_subjects"].subjects(["go", "fastify"], [], place))
    assert str(found["go"]) == "go is not installed"
    assert str(found["fastify"]) == "node and npm are not installed"


def test_figures_are_written_between_their_marks_alone(bench: dict[str, ModuleType], tmp_path: Path) -> None:
    page, report = tmp_path / "page.md", bench["_report"]
    page.write_text(f"before\n{report.mark('x.py')}\nold\n{report.mark('x.py')}\nafter\n", "utf-8")
    report.insert(page, "x.py", "new")
    report.insert(page, "y.py", "more")
    assert report.between(page, "x.py") == "new"
    assert report.between(page, "y.py") == "more"
    report.insert(page, "x.py", "newer")
    words = page.read_text("utf-8")
    assert words.startswith(f"before\n{report.mark('x.py')}\nnewer\n{report.mark('x.py')}\nafter\n")
    assert "more" in words


@pytest.fixture
def costs(bench: dict[str, ModuleType]) -> Any:
    """Round ones: a verification costs the API 2,300 µs, a worker 1,100, Redis (100 + 130 + 110) × 1.5."""
    kept = {"t:…": (100.0, 259_200.0), "ok:…": (100.0, 7_776_000.0), "outbox": (50.0, 0.0)}
    return bench["_capacity"].Costs(1e-3, 1e-3, 1e-3, 1e-4, 1e-4, 1e-4, 60, 50, 6_000, kept)


def test_what_a_rate_needs_is_its_cost_over_what_is_planned_of_a_core(bench: dict[str, ModuleType], costs: Any) -> None:
    found = bench["_capacity"].need(costs, 1000)
    assert (found.api, found.workers) == (4, 2)  # 2.3 and 1.1 cores, of which 0.6 are planned
    assert found.service_mb == 4 * 60 + 2 * 50
    assert found.megabits == 80
    # 100 bytes for three days, and 100 for as long as a person stays away.
    assert found.gigabytes == pytest.approx(1000 * 100 * (259_200 + 302_400) * 1.3 / 1e9)
    assert found.masters == 3  # 73 GB
    short = bench["_capacity"].need(costs, 1000, tries=7200)
    assert short.masters == 2  # 40 GB
    assert bench["_capacity"].need(costs, 10_000, tries=7200).masters == 17  # 402 GB, and 8.5 cores


def test_few_verifications_need_two_of_each_process(bench: dict[str, ModuleType], costs: Any) -> None:
    found = bench["_capacity"].need(costs, 1)
    assert (found.api, found.workers, found.masters) == (2, 2, 1)


def test_the_capacity_page_is_reckoned_from_the_figures_that_were_measured(bench: dict[str, ModuleType]) -> None:
    costs = bench["_capacity"].Costs.of(json.loads((DOCS / "performance.json").read_text("utf-8")))
    assert bench["_report"].between(DOCS / "capacity.md", "_capacity.py") == bench["_capacity"].text(costs)


def test_no_capacity_is_told_before_all_is_measured(bench: dict[str, ModuleType]) -> None:
    assert bench["_capacity"].Costs.of({"comparison.py": {"rows": {}}}) is None


@pytest.mark.parametrize("page", ["performance.md", "capacity.md"])
def test_the_readme_names_the_page(page: str) -> None:
    assert f"docs/{page}" in (DOCS.parent / "README.md").read_text("utf-8")


# --- that they run ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_small_comparison_and_growth_run_through(bench: dict[str, ModuleType], tmp_path: Path) -> None:
    """Rows of other languages are left to whoever has them: they need a compiler and a network."""
    ours = "hello,bare,script,ours,redis,deliveries"
    for words in (["comparison.py", "--rows", ours], ["growth.py"]):
        command = [sys.executable, str(BENCH / words[0]), *words[1:], "--quick", "--out", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "performance.json").read_text("utf-8"))["comparison.py"]["rows"]
    assert len(rows) == 9
    assert all(row["rate"] > 0 and row["cpu"] > 0 for row in rows.values())
    for picture in ("comparison.svg", "growth.svg"):
        assert ElementTree.parse(tmp_path / picture).getroot().tag.endswith("svg")
    assert "| 1,000 |" in bench["_report"].between(tmp_path / "performance.md", "growth.py")
    assert "Redis masters" in bench["_report"].between(tmp_path / "capacity.md", "_capacity.py")


@pytest.mark.slow
def test_a_row_that_there_is_not_is_told() -> None:
    command = [sys.executable, str(BENCH / "comparison.py"), "--rows", "ours,theirs"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "theirs: not known; there are hello, bare," in done.stderr
