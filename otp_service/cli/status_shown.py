"""`status` as a person reads it, and as a program does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from otp_service.cli.operating import ago, moment, span, until
from otp_service.cli.output import print_section
from otp_service.cli.seen import Seen
from otp_service.config import Config
from otp_service.delivery.routing import health
from otp_service.ports import ChannelState, HookState, Pause, WorkerSign
from otp_service.store.facts import ServerFacts
from otp_service.wiring import Pumped


def print_tables(config: Config, shown: Seen) -> None:
    facts, seen, hooks = shown.facts, shown.installation, shown.hooks
    if facts is None or seen is None:
        print_section("redis", ("answers",), [("in part" if facts else "no",)])
        return
    now = seen.now
    answers = "in part" if facts.silent or shown.unknown else "yes"
    print_section("redis", ("answers", "role", "version", "AOF", "eviction"), [(answers, *_redis_words(facts))])
    print_section(
        "worker",
        ("name", "version", "up", "in flight", "done"),
        [(one.name, one.version, span(one.up_ms), str(one.in_flight), str(one.done)) for one in seen.workers],
    )
    queue = seen.queue
    print_section(
        "queue",
        ("waiting", "oldest", "later", "dead letters"),
        [(str(queue.depth), span(queue.oldest_ms), str(queue.later), str(queue.dead))],
    )
    _print_channels(seen.channels, now)
    print_section(
        "pause",
        ("what", "until", "since", "by"),
        [(one.what, until(one.until, now), ago(one.since, now), one.by) for one in seen.pauses],
    )
    print_section(
        "webhook",
        ("name", "waiting", "overdue", "gone"),
        [(one.name, str(one.queued), span(one.oldest_due_ms), ago(one.gone_since or 0, now)) for one in hooks],
    )
    _print_pumped(shown.pumped, config.pumping.mode, now)
    print_section("unknown", ("not in these tables",), [(one,) for one in shown.unknown])


def _print_channels(channels: Sequence[ChannelState], now: int) -> None:
    print_section(
        "channel",
        ("name", "state", "score", "last hour", "p50", "p95", "balance", "latest complaint", "when"),
        [_channel_words(channel, now) for channel in channels],
    )
    print_section(
        "untold",
        ("channel", "what", "why", "since"),
        [(channel.name, one.what, one.words, ago(one.since, now)) for channel in channels for one in channel.untold],
    )


def _print_pumped(pumped: Sequence[Pumped], mode: str, now: int) -> None:
    print_section(
        "pumping",
        ("level", "what", "why", "approved", "since", "until", "mode"),
        [
            (one.level, one.what, one.reason, one.approved, ago(one.since, now), until(one.until, now), mode)
            for one in pumped
        ],
    )


def document(config: Config, shown: Seen) -> dict[str, Any]:
    facts, seen = shown.facts, shown.installation
    if facts is None or seen is None:
        return {"redis": {"up": False}}
    lowest = {channel.name: channel.balance_low for channel in config.channels}
    queue = seen.queue
    return {
        "at": moment(seen.now),
        "redis": _redis(facts),
        "unknown": list(shown.unknown),
        "workers": [_worker(one) for one in seen.workers],
        "queue": {
            "depth": queue.depth,
            "oldest_seconds": queue.oldest_ms / 1000,
            "later": queue.later,
            "dead_letters": queue.dead,
        },
        "channels": [{**_channel(one, seen.now), "balance_low": lowest.get(one.name)} for one in seen.channels],
        "pauses": [_pause(one) for one in seen.pauses],
        "webhooks": [_webhook(one) for one in shown.hooks],
        "pumping": {"mode": config.pumping.mode, "held": [_pumped(one) for one in shown.pumped]},
    }


def _redis(facts: ServerFacts) -> dict[str, Any]:
    return {
        "up": True,
        "kind": "valkey" if facts.is_valkey else "redis",
        "version": facts.version,
        "role": facts.role,
        "aof": facts.aof,
        "eviction_policy": facts.eviction_policy,
    }


def _worker(one: WorkerSign) -> dict[str, Any]:
    return {
        "name": one.name,
        "version": one.version,
        "started_at": moment(one.seen - one.up_ms),
        "seen_at": moment(one.seen),
        "in_flight": one.in_flight,
        "done": one.done,
    }


def _pause(one: Pause) -> dict[str, Any]:
    return {"what": one.what, "until": moment(one.until), "since": moment(one.since), "by": one.by}


def _pumped(one: Pumped) -> dict[str, Any]:
    return {
        "level": one.level,
        "what": one.what,
        "reason": one.reason,
        "approved": one.approved,
        "since": moment(one.since),
        "until": moment(one.until),
    }


def _webhook(one: HookState) -> dict[str, Any]:
    overdue = one.oldest_due_ms / 1000
    return {
        "name": one.name,
        "queued": one.queued,
        "overdue_seconds": overdue,
        "gone_since": moment(one.gone_since or 0),
    }


def breaker(channel: ChannelState, now: int) -> str:
    stands = channel.standing
    if not stands.is_open:
        return "closed"
    return "open" if stands.open_until > now else "half-open"


def _channel(channel: ChannelState, now: int) -> dict[str, Any]:
    stands = channel.standing
    return {
        "name": channel.name,
        "breaker": breaker(channel, now),
        "open_until": moment(stands.open_until if stands.open_until > now else 0),
        "rest_until": moment(stands.rest_until if stands.rest_until > now else 0),
        "paused_until": moment(stands.paused_until if stands.paused_until > now else 0),
        "score": round(health(stands), 2),
        "outcomes": dict(channel.outcomes),
        "p50_ms": channel.p50_ms,
        "p95_ms": channel.p95_ms,
        "balance": channel.balance or None,
        "balance_at": moment(channel.balance_at),
        "words": channel.words,
        "words_at": moment(channel.words_at),
        "untold": [{"what": one.what, "words": one.words, "since": moment(one.since)} for one in channel.untold],
    }


def _channel_words(channel: ChannelState, now: int) -> tuple[str, ...]:
    stands = channel.standing
    state = breaker(channel, now)
    if stands.paused_until > now:
        state = f"paused until {until(stands.paused_until, now)}"
    elif state == "open":
        state = f"open until {until(stands.open_until, now)}"
    elif stands.rest_until > now:
        state = f"left alone until {until(stands.rest_until, now)}"
    outcomes = ", ".join(f"{count} {name}" for name, count in channel.outcomes.items())
    balance = f"{channel.balance}, {ago(channel.balance_at, now)}" if channel.balance_at else channel.balance
    return (
        channel.name,
        state,
        f"{health(stands):.2f}",
        outcomes,
        _ms(channel.p50_ms),
        _ms(channel.p95_ms),
        balance,
        channel.words,
        ago(channel.words_at, now),
    )


def _ms(value: int | None) -> str:
    return "" if value is None else f"{value} ms"


def _redis_words(facts: ServerFacts) -> tuple[str, ...]:
    version = f"{'Valkey' if facts.is_valkey else 'Redis'} {facts.version or '?'}"
    aof = "?" if facts.aof is None else "on" if facts.aof else "off"
    return facts.role or "?", version, aof, facts.eviction_policy or "?"
