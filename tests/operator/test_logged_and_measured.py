"""One line per end of a delivery, and the metrics: complete, and without a number or a code."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from structlog.testing import capture_logs

from otp_service.calls import Asking
from otp_service.logs import redact
from otp_service.masking import fit_id, fit_to_keep
from otp_service.metrics import LEVELS, Level, Levels
from otp_service.ports import Outcome, Reason, TryResult
from otp_service.store.fields import RECORD
from tests.world import NUMBER, World

NATIONAL = NUMBER.removeprefix("+86")


def line_of(world: World, answer: TryResult) -> dict[str, object]:
    """What is written at the end of a delivery whose last gateway answered so."""
    for gateway in world.gateways:
        gateway.answers = [answer]
    world.start(asking=Asking(request_id="req-1"))
    with capture_logs() as lines:
        world.deliver()
    [line] = [dict(line) for line in lines if line["event"] == "delivery"]
    return dict(redact(None, "info", line))


def test_the_line_says_who_asked_who_answered_what_and_how_long_it_took(world: World) -> None:
    line = line_of(world, TryResult(Outcome.ACCEPTED, detail="ok", gateway_id="93390617"))
    assert {name: line[name] for name in ("request_id", "channel", "outcome", "reason", "words", "gateway_id")} == {
        "request_id": "req-1",
        "channel": "primary",
        "outcome": "accepted",
        "reason": "",
        "words": "ok",
        "gateway_id": "93390617",
    }
    assert (line["verdict"], line["send"]) == ("accepted", 1)
    assert isinstance(line["ms"], int)
    assert isinstance(line["since_request_ms"], int)


def test_the_line_counts_the_time_from_the_request(world: World) -> None:
    """However long the send lay in the outbox."""
    world.freeze_clock()
    world.start()
    world.move_clock(45)
    with capture_logs() as lines:
        world.deliver()
    [line] = [line for line in lines if line["event"] == "delivery"]
    assert line["since_request_ms"] >= 45_000


@pytest.mark.parametrize("id", [NATIONAL, f"86{NATIONAL}-7", f"m{NATIONAL}"])
def test_neither_the_line_nor_redis_holds_a_number_that_a_gateway_repeats(world: World, id: str) -> None:
    """In its words, in its id, and with the code beside it."""
    words = f"sent 123456 to {NATIONAL}"
    line = line_of(world, TryResult(Outcome.REJECTED, Reason.CONTENT, words, gateway_id=id))
    assert NATIONAL not in str(line)
    assert "123456" not in str(line)
    [tries] = [world.server.client.lrange(key, 0, -1) for key in world.server.client.keys("*:t:*")]
    assert len(tries) == 2
    assert NATIONAL.encode() not in b"".join(tries)


def test_a_send_that_nobody_was_asked_for_is_logged_too(world: World) -> None:
    """It was canceled before a worker saw it."""
    id = world.start().verification.id
    world.server.client.hset(world.server.client.keys("*:v:*")[0], RECORD["status"], "canceled")
    with capture_logs() as lines:
        world.deliver()
    [line] = [line for line in lines if line["event"] == "delivery"]
    assert (line["id"], line["channel"], line["outcome"], line["verdict"]) == (id, "", "", "done")


def test_masks_leave_what_names_nobody() -> None:
    assert fit_id("93390617", NUMBER, "345678") == "93390617"
    assert fit_id(f"{NATIONAL}_a7", NUMBER, "345678") == "****_a7"
    assert fit_id("m-345678_a7", NUMBER, "345678") == "m-****_a7"
    assert fit_to_keep("no 1380 or 138") == "no **** or 138"
    assert fit_to_keep("no 138-0013-8000: code 345 678") == "no ****: code ****"


class TestLevels:
    def scraped(self, levels: Levels) -> str:
        registry = CollectorRegistry()
        registry.register(levels)
        return generate_latest(registry).decode()

    def test_are_absent_while_they_are_not_known(self) -> None:
        """A scrape never fails for Redis: the counters of the process are still worth having."""
        assert self.scraped(Levels(lambda: ())) == ""

    def test_have_a_channel_where_they_are_of_one(self) -> None:
        shown = self.scraped(Levels(lambda: [Level("otp_queue_depth", 3), Level("otp_channel_open", 1, "primary")]))
        assert "\notp_queue_depth 3.0\n" in shown
        assert '\notp_channel_open{channel="primary"} 1.0\n' in shown
        assert "otp_channel_balance" not in shown

    def test_are_asked_for_once_a_second_at_most(self) -> None:
        asked: list[int] = []
        moment = [0.0]

        def ask() -> Sequence[Level]:
            asked.append(1)
            return [Level(name, 0, "primary") for name in LEVELS]

        levels = Levels(ask, clock=lambda: moment[0])
        for moment[0] in (0.0, 0.5, 1.0, 1.1):
            self.scraped(levels)
        assert len(asked) == 2
