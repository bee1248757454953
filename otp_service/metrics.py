"""What is counted for Prometheus. Every label has few values: a route is its template, never a path."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from otp_service.verification import Verification

REQUESTS = Counter("otp_requests", "Requests answered, by route template and status.", ["route", "status"])
CHECKS = Counter("otp_checks", "Codes checked, by purpose and result; replays are not counted.", ["purpose", "result"])
TRIES = Counter("otp_tries", "Hand-overs to a channel, by what they came to.", ["channel", "outcome", "reason"])
TRY_SECONDS = Histogram("otp_try_seconds", "How long a channel took to answer.", ["channel"])
REFUSALS = Counter("otp_refusals", "Requests refused by a limit, by the limit's name.", ["limit"])
SHED = Counter("otp_shed", "Requests refused unread, because enough others are in work, by kind of call.", ["call"])
CAPTCHAS = Counter("otp_captchas", "CAPTCHA tokens judged, by verifier and verdict.", ["verifier", "verdict"])
PUMPING = Counter(
    "otp_pumping_verdicts", "Sends that the pumping guard is against, by level and mode.", ["level", "mode"]
)
REPORTS = Counter("otp_reports", "Delivery reports acted on, by channel and what they did.", ["channel", "end"])
REPORT_PUSHES = Counter("otp_report_pushes", "Pushes of reports, by channel and result.", ["channel", "result"])
REPLIES = Counter("otp_replies", "Replies of handsets, by channel and what they want.", ["channel", "wish"])
CHANNEL_BALANCE = Gauge("otp_channel_balance", "What the gateway says is left; the same on every worker.", ["channel"])
WEBHOOKS = Counter("otp_webhooks", "Events and attempts to send them, by webhook and result.", ["webhook", "result"])
WEBHOOKS_QUEUED = Gauge("otp_webhooks_queued", "Events that wait for a webhook; the same on every worker.", ["webhook"])

LOG_LINES_LOST = Counter("otp_log_lines_lost", "Lines of our log that stderr did not take in time.")
CONFIG_RELOADS = Counter("otp_config_reloads", "Configurations read while running: applied or refused.", ["result"])


# To find one by its labels takes longer than to count.
_requests = lru_cache(maxsize=1024)(REQUESTS.labels)
_checks = lru_cache(maxsize=1024)(CHECKS.labels)
_tries = lru_cache(maxsize=1024)(TRIES.labels)
_try_seconds = lru_cache(maxsize=1024)(TRY_SECONDS.labels)
_pumping = lru_cache(maxsize=64)(PUMPING.labels)


def count_request(route: str, status: int) -> None:
    _requests(route, status).inc()


def count_check(verification: Verification | None, result: str) -> None:
    """`result` is `approved` or a problem's name. The purpose is the verification's: a caller's word has no bound."""
    _checks(verification.purpose if verification else "unknown", result).inc()


def count_try(channel: str, outcome: str, reason: str, seconds: float) -> None:
    """`reason` is "" where there is none."""
    _tries(channel, outcome, reason).inc()
    _try_seconds(channel).observe(seconds)


def count_pumping(level: str, mode: str) -> None:
    _pumping(level, mode).inc()


class Level(NamedTuple):
    """What stands somewhere at this moment, under one of the names of LEVELS."""

    name: str
    value: float
    channel: str = ""


LEVELS = {
    "otp_queue_depth": "Sends in the outbox: waiting for a worker, or being worked on.",
    "otp_queue_oldest_seconds": "How long ago the oldest of these was asked for.",
    "otp_queue_later": "Sends put off: every channel said later, or an operator holds them back.",
    "otp_dead_letters": "Sends that no worker could work on.",
    "otp_workers": "Workers that said within ten seconds that they live.",
    "otp_channel_open": "1 while the channel's breaker is open or half-open.",
    "otp_channel_balance": "What the gateway said that the account has left.",
}
"""Of the whole installation: every process shows the same."""
_CACHED_SECONDS = 1.0


class Levels(Collector):
    """Asked for at a scrape, at most once a second; what is not known now is absent, and fails no scrape."""

    def __init__(self, ask: Callable[[], Sequence[Level]], clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._asking = threading.Lock()
        self._asked_at = float("-inf")
        self._known: Sequence[Level] = ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        with self._asking:
            if self._clock() - self._asked_at > _CACHED_SECONDS:
                self._known = self._ask()
                self._asked_at = self._clock()
            known = self._known
        for name, help in LEVELS.items():
            of_channels = name.startswith("otp_channel_")
            family = GaugeMetricFamily(name, help, labels=["channel"] if of_channels else [])
            for level in known:
                if level.name == name:
                    family.add_metric([level.channel] if of_channels else [], level.value)
            if family.samples:
                yield family

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Registering asks nobody."""
        return iter(())


class KeyInUse(NamedTuple):
    """A key that this process goes by: never the key, only its id."""

    use: str
    """Where the configuration has it: `secret_keys`, or `clients.<name>`."""
    kid: str
    role: str
    """`signs` (and verifies), or `verifies` alone."""


class KeysInUse(Collector):
    """`otp_key_info`: a fleet whose processes don't show the same is in the midst of a rotation, or stuck in one."""

    def __init__(self, ask: Callable[[], Sequence[KeyInUse]]) -> None:
        self._ask = ask

    def collect(self) -> Iterator[GaugeMetricFamily]:
        help = "1 for each key that is in use, by its id and whether it signs; a revoked API key is absent."
        family = GaugeMetricFamily("otp_key_info", help, labels=KeyInUse._fields)
        for key in self._ask():
            family.add_metric(key, 1)
        yield family

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Registering asks nobody."""
        return iter(())


class ConfigInUse(Collector):
    """Which configuration this process goes by, and since when: where a fleet's marks differ, some are behind."""

    def __init__(self, mark: str, since: float) -> None:
        self._mark = mark
        self._since = since

    def collect(self) -> Iterator[GaugeMetricFamily]:
        info = GaugeMetricFamily("otp_config_info", "1 for the configuration in use, by its mark.", labels=["mark"])
        info.add_metric([self._mark], 1)
        yield info
        yield GaugeMetricFamily("otp_config_loaded_timestamp_seconds", "When it was taken over.", self._since)

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Registering asks nobody."""
        return iter(())
