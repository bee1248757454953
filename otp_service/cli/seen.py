"""`Seen`: what `status` learns of the installation, as far as Redis tells it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from otp_service import wiring
from otp_service.config import Config
from otp_service.ports import FullLimits, HookState, Installation, StoreDown
from otp_service.store.facts import ServerFacts, Unreachable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Seen:
    """None and nothing for what Redis did not tell."""

    facts: ServerFacts | None = None
    installation: Installation | None = None
    hooks: Sequence[HookState] = ()
    pumped: Sequence[wiring.Pumped] = ()
    full: FullLimits = field(default_factory=lambda: FullLimits(0, ()))
    unknown: Sequence[str] = ()
    """What of this could not be asked while the rest could, in words."""
    lost: str = ""
    """Why nothing of Redis answers."""

    @classmethod
    def by_asking(cls, config: Config) -> Seen:
        try:
            facts = wiring.ask_server(config)
        except Unreachable as error:
            return cls(lost=wiring.all_lost(config, error).text)
        try:
            seen = wiring.look(config)
        except StoreDown:
            return cls(facts)
        hooks, silent = wiring.look_at_hooks(config)
        nothing: tuple[Sequence[wiring.Pumped], Sequence[str]] = (), ["what looks pumped"]
        pumped, hidden = _unless_lost(lambda: wiring.pumped(config), nothing)
        full = _unless_lost(lambda: wiring.full_limits(config), FullLimits(seen.now, (), ["which limits are full"]))
        return cls(facts, seen, hooks, pumped, full, [*seen.unknown, *silent, *hidden, *full.unknown])


def _unless_lost(ask: Callable[[], T], otherwise: T) -> T:
    try:
        return ask()
    except StoreDown:
        return otherwise
