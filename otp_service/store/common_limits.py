"""Which limits over many recipients are full: for an operator, not on a request's path. It counts nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from otp_service.policy import MILLIONTHS
from otp_service.ports import CommonLimit, Hindrance
from otp_service.store.keys import Keys
from otp_service.store.rows import text

_HOUR_MS = 3_600_000
_HOURS = 24
"""A cap is for as many; see spend.lua, whose sum this is."""
_SPRAYED = "its codes look sprayed: checks are braked, but for known devices"


def ask(pipeline: Any, keys: Keys, limits: Sequence[CommonLimit]) -> None:
    """One reply for each window, ledger and brake, in the order in which `found` takes them."""
    for one in limits:
        for window in one.windows:
            nth = window.count - 1
            pipeline.zrevrange(keys.bucket(one.limit, one.name), nth, nth, withscores=True)
        if one.cap is not None:
            pipeline.hgetall(keys.spent(one.limit, one.name))
        if one.braked:
            pipeline.hget(keys.brake(one.name), "until")


def found(now: int, limits: Sequence[CommonLimit], replies: Iterator[Any]) -> Iterator[Hindrance]:
    for one in limits:
        standing = [_window(one, window.count, window.seconds, next(replies)) for window in one.windows]
        if one.cap is not None:
            standing.append(_spent(now, one, one.cap, next(replies)))
        if one.braked:
            standing.append((int(next(replies) or 0), _SPRAYED))
        until, why = max(standing, default=(0, ""))
        if until > now:
            yield Hindrance(one.limit, until, one.client, why)


def _window(one: CommonLimit, count: int, seconds: int, nth: Sequence[tuple[bytes, float]]) -> tuple[int, str]:
    return (int(nth[0][1]) + seconds * 1000 if nth else 0), f"{count} in {seconds} s are used up"


def _spent(now: int, one: CommonLimit, cap: int, ledger: Mapping[bytes, bytes]) -> tuple[int, str]:
    """Until when a send of this price has no room; 0 when it has."""
    oldest = now // _HOUR_MS - _HOURS
    hours = sorted((hour, int(paid)) for name, paid in ledger.items() if (hour := int(text(name))) >= oldest)
    spent = left = sum(paid for _, paid in hours)
    until = 0
    if one.price and spent + one.price > cap:
        until = now + _HOURS * _HOUR_MS
        for hour, paid in hours:
            left -= paid
            if left + one.price <= cap:
                until = (hour + _HOURS + 1) * _HOUR_MS
                break
    return until, f"{spent / MILLIONTHS:.10g} of {cap / MILLIONTHS:.10g} is spent within 24 hours"
