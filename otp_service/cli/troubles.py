"""What needs a hand now, one line each, with what to do. The runbook says more."""

from __future__ import annotations

from collections.abc import Iterator

from otp_service.cli.channel_troubles import channel_troubles
from otp_service.cli.operating import span, until
from otp_service.cli.seen import Seen
from otp_service.config import Config
from otp_service.ports import HookState
from otp_service.store.facts import ServerFacts

OLD_MS = 30_000
"""A person has given up by then."""
OVERDUE_MS = 300_000
"""Of a webhook's first event that waits: its receiver has then failed several times."""


def troubles(config: Config, shown: Seen) -> Iterator[str]:
    facts, seen = shown.facts, shown.installation
    if facts is None:
        yield f"Redis: {shown.lost}"
        return
    yield from _redis(config, facts)
    if seen is None:
        if not facts.silent:
            yield "Redis stopped answering meanwhile: ask again"
        return
    if shown.unknown:
        yield (
            f"Redis does not answer for all of it, so this is not in what stands above: {', '.join(shown.unknown)}; "
            "mend Redis first, then ask again"
        )
    if not seen.workers and not shown.unknown:
        yield "no worker has said for 10 s that it lives, so nothing is sent: start one with `otp-service worker`"
    if seen.queue.oldest_ms > OLD_MS and seen.workers and not seen.holds_everything:
        age = span(seen.queue.oldest_ms)
        yield (
            f"a send has waited for {age}: start more workers with `otp-service worker`, or hold back what floods it "
            "with `otp-service sends pause --country CN`"
        )
    yield from channel_troubles(config, seen)
    for one in shown.full.hindrances:
        whose = f"client {one.client}" if one.client else "all clients"
        yield (
            f"the limit `{one.limit}` refuses {whose} until {until(one.until, seen.now)}: {one.detail}; "
            "see who floods it, then raise it in [limits] or [spend]"
        )
    for hook in shown.hooks:
        yield from _webhook(hook)


def _redis(config: Config, facts: ServerFacts) -> Iterator[str]:
    for lack in facts.troubles(config.redis.durability, config.redis.allow_eviction):
        yield f"Redis: {lack.text}"


def _webhook(hook: HookState) -> Iterator[str]:
    if hook.gone_since:
        yield f"webhook {hook.name} answered 410 and is told nothing: mend its receiver, then give it another url"
    elif hook.oldest_due_ms > OVERDUE_MS:
        yield f"webhook {hook.name} is {span(hook.oldest_due_ms)} behind: see whether its receiver answers 2xx"
