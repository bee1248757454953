"""A thread writes the log: in order, without anybody waiting for whoever reads it."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog

from otp_service import logs
from otp_service.logs import MOST_LINES, Writer, configure_logs, write_beside, write_rest
from tests.world import PATIENCE


class Sink:
    """Takes what is written once it is opened."""

    def __init__(self, *, is_open: bool) -> None:
        self.taken: list[str] = []
        self.reached, self.opened = threading.Event(), threading.Event()
        if is_open:
            self.opened.set()

    def write(self, text: str) -> None:
        self.reached.set()
        assert self.opened.wait(PATIENCE)
        self.taken.append(text)


def running(sink: Sink, lost: list[int]) -> Writer:
    writer = Writer(lost.append, sink.write)
    threading.Thread(target=writer.run, daemon=True).start()
    return writer


def test_lines_keep_their_order_and_share_writes() -> None:
    sink, lost = Sink(is_open=False), list[int]()
    writer = running(sink, lost)
    lines = [f"{n}\n" for n in range(1000)]
    for line in lines:
        writer.put(line)
    sink.opened.set()
    writer.close()
    assert "".join(sink.taken) == "".join(lines)
    assert len(sink.taken) < len(lines) / 10
    assert lost == []


def test_a_sink_that_takes_nothing_holds_nobody_up_and_costs_lines_that_are_counted() -> None:
    """F33."""
    sink, lost = Sink(is_open=False), list[int]()
    writer = running(sink, lost)
    writer.put("first\n")
    assert sink.reached.wait(PATIENCE)
    for n in range(MOST_LINES + 7):
        writer.put(f"{n}\n")
    assert sum(lost) == 7
    sink.opened.set()
    writer.close()
    written = "".join(sink.taken).split()
    assert written == ["first", *map(str, range(MOST_LINES))]


def test_an_end_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """F33: a process whose log nobody reads must end all the same."""
    monkeypatch.setattr(logs, "CLOSE_SECONDS", 0.01)
    sink = Sink(is_open=False)
    writer = running(sink, [])
    writer.put("first\n")
    writer.close()
    assert sink.taken == []
    sink.opened.set()


@contextmanager
def pipe() -> Iterator[int]:
    """Inside, our log goes into a pipe; the end that a collector would read."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stderr, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", stderr)
        configure_logs()
        try:
            yield reading
        finally:
            write_rest()
            structlog.reset_defaults()
    os.close(reading)


def test_a_pipe_that_nobody_reads_stalls_nobody_and_what_is_read_later_is_whole() -> None:
    """F33, with the pipe that a container's log is."""
    lost: list[int] = []
    said = [f"{'word ' * 40}{n}" for n in range(2000)]  # more than a pipe holds
    read = b""
    with pipe() as collector:
        write_beside(lost.append)
        for line in said:
            structlog.get_logger().info(line)
        while read.count(b"\n") < len(said):
            read += os.read(collector, 65536)
    assert [json.loads(line)["event"] for line in read.splitlines()] == said
    assert lost == []


def test_after_the_end_lines_are_written_at_once() -> None:
    with pipe() as collector:
        write_beside(lambda _: None)
        structlog.get_logger().info("before")
        write_rest()
        structlog.get_logger().info("after")
        lines = os.read(collector, 65536).splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["before", "after"]
